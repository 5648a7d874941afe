/** Reasons in words: what happened in one sentence, what to do now in one sentence. English and Ukrainian. */

import { isPersonal } from './document.js';

/** @typedef {'en' | 'uk'} Language */

/**
 * @typedef {{ sentence: string, next: string }} Words
 * @typedef {Record<string, [string, string]>} Table
 */

/** `{s}` stands for seconds; what is compared is said of a person. @type {Record<Language, Table>} */
const WORDS = {
  en: {
    valid: ['The document is valid.', 'Compare the face with the photo.'],
    withdrawals_not_checked: [
      'Genuine; whether it was withdrawn since is not known.',
      'Compare the face with the photo; go online to bring the lists up to date.',
    ],
    trust_list_old: [
      'Genuine by a list of issuers that is over a week old.',
      'Compare the face with the photo; go online to bring the lists up to date.',
    ],
    list_old: [
      'Genuine; what is known of withdrawals is out of date.',
      'Compare the face with the photo; go online to bring the lists up to date.',
    ],
    register_not_reached: ['The register does not answer.', 'Scan the QR code, or try again in a minute.'],
    register_not_reached_known: [
      'The register does not answer.',
      'Compare the face with the photo, and try again in a minute where it matters.',
    ],
    unreadable: ['The code is damaged.', 'Scan again, with more light and the whole code in view.'],
    not_ours: ['This is not a document code.', "Ask for the document's code in the app."],
    unknown_issuer: [
      'The document is from an issuer this verifier does not know.',
      'Update the list of issuers, then scan again.',
    ],
    bad_signature: [
      'The code was not made by the issuer and the phone it names.',
      'Do not accept it; ask for the document itself.',
    ],
    clock_early: [
      'The time of this code begins in {s} s: a clock is wrong.',
      'Compare both clocks, then scan again.',
    ],
    clock_late: [
      'The time of this code ended {s} s ago.',
      'Ask for the code now on the screen; if it is refused too, compare both clocks.',
    ],
    clock_behind: [
      'The clock of this verifier is at least {s} s behind.',
      'Set the clock of this verifier, then scan again.',
    ],
    clock: ['A clock is wrong.', 'Compare both clocks, then scan again.'],
    expired: [
      'The phone has not renewed the document for a day.',
      'Ask the holder to go online and open the document again.',
    ],
    document_expired: ['The document is no longer valid.', 'Ask for another document.'],
    not_for_this_request: [
      'The code does not answer this request.',
      'Show the request again and let the holder scan it.',
    ],
    held_by_server: [
      'The code was made by a server, not by a phone.',
      "Ask for the code on the holder's own phone.",
    ],
    used: ['This code has been used.', 'Ask for the code now on the screen.'],
    superseded: ['A later code of this phone has taken the place of this one.', 'Ask for the code now on the screen.'],
    revoked: ['The document has been withdrawn.', 'Do not accept it; the holder finds the reason in the app.'],
    suspended: ['The document has been withdrawn for now.', 'Do not accept it; the holder finds the reason in the app.'],
    unknown_code: ['No phone shows this code now.', 'Compare the digits with the screen, and type them again.'],
    declined: ['The holder has said no.', 'Ask the holder which document they want to show.'],
    no_answer: [
      'The holder has not answered.',
      'Ask the holder to keep the code on the screen and to answer, then try again.',
    ],
    too_young: ['The holder has not reached the age asked for.', 'Treat the holder as under age.'],
    online_required: ['This business accepts codes only after an online check.', 'Go online, then scan again.'],
  },
  uk: {
    valid: ['Документ дійсний.', 'Порівняйте обличчя з фото.'],
    withdrawals_not_checked: [
      'Справжній; чи відкликано його відтоді, невідомо.',
      'Порівняйте обличчя з фото; увімкніть мережу, щоб оновити списки.',
    ],
    trust_list_old: [
      'Справжній за списком видавців, якому понад тиждень.',
      'Порівняйте обличчя з фото; увімкніть мережу, щоб оновити списки.',
    ],
    list_old: [
      'Справжній; відомості про відкликання застаріли.',
      'Порівняйте обличчя з фото; увімкніть мережу, щоб оновити списки.',
    ],
    register_not_reached: ['Реєстр не відповідає.', 'Відскануйте QR-код або спробуйте за хвилину.'],
    register_not_reached_known: [
      'Реєстр не відповідає.',
      'Порівняйте обличчя з фото; коли це важливо, спробуйте ще раз за хвилину.',
    ],
    unreadable: ['Код пошкоджено.', 'Скануйте ще раз: більше світла, увесь код у кадрі.'],
    not_ours: ['Це не код документа.', 'Попросіть показати код документа в застосунку.'],
    unknown_issuer: [
      'Документ видав видавець, якого цей перевіряч не знає.',
      'Оновіть список видавців і скануйте ще раз.',
    ],
    bad_signature: [
      'Цей код створили не той видавець і телефон, які в ньому названо.',
      'Не приймайте його; попросіть сам документ.',
    ],
    clock_early: ['Час цього коду почнеться за {s} с: чийсь годинник хибний.', 'Звірте обидва годинники і скануйте ще раз.'],
    clock_late: [
      'Час цього коду минув {s} с тому.',
      'Попросіть код, який на екрані зараз; якщо відмовить знову, звірте обидва годинники.',
    ],
    clock_behind: [
      'Годинник цього перевіряча відстає щонайменше на {s} с.',
      'Виставте годинник цього пристрою і скануйте ще раз.',
    ],
    clock: ['Чийсь годинник хибний.', 'Звірте обидва годинники і скануйте ще раз.'],
    expired: [
      'Телефон понад добу не оновлював документ.',
      'Попросіть власника вийти в мережу і знову відкрити документ.',
    ],
    document_expired: ['Строк дії документа минув.', 'Попросіть інший документ.'],
    not_for_this_request: ['Код не відповідає на цей запит.', 'Покажіть запит ще раз, щоб власник його відсканував.'],
    held_by_server: ['Код створив сервер, а не телефон.', 'Попросіть код на телефоні самого власника.'],
    used: ['Цей код уже використано.', 'Попросіть код, який на екрані зараз.'],
    superseded: ['Новіший код цього телефона замінив цей.', 'Попросіть код, який на екрані зараз.'],
    revoked: ['Документ відкликано.', 'Не приймайте його; причину власник бачить у застосунку.'],
    suspended: ['Документ тимчасово відкликано.', 'Не приймайте його; причину власник бачить у застосунку.'],
    unknown_code: ['Жоден телефон зараз не показує цього коду.', 'Порівняйте цифри з екраном і введіть їх ще раз.'],
    declined: ['Власник відмовив.', 'Запитайте власника, який документ він хоче показати.'],
    no_answer: ['Власник не відповів.', 'Попросіть власника не закривати код і відповісти, тоді спробуйте ще раз.'],
    too_young: ['Власник не досяг віку, про який запитано.', 'Вважайте власника неповнолітнім.'],
    online_required: ['Цей заклад приймає лише коди, перевірені онлайн.', 'Підʼєднайтеся до мережі і скануйте ще раз.'],
  },
};

/** What is compared: of a person's document, and of a vehicle's. @type {Record<Language, [string, string]>} */
const COMPARE = {
  en: ['Compare the face with the photo', 'Compare the plate with the vehicle'],
  uk: ['Порівняйте обличчя з фото', 'Порівняйте номерний знак з автомобілем'],
};

/** @type {Language[]} */
export const LANGUAGES = ['en', 'uk'];

/**
 * @param {{ reason: string, clock?: import('./refusal.js').ClockFault | null, document_type?: string | null }} outcome
 * @param {Language} language
 * @returns {Words}
 */
export function sentenceOf({ reason, clock = null, document_type = null }, language) {
  const specific = reason === 'clock' && clock ? `clock_${clock.code}` : reason;
  const [sentence, next] = WORDS[language][specific] ?? WORDS[language].bad_signature;
  const said = isPersonal(document_type) ? next : next.replace(...COMPARE[language]);
  return { sentence: sentence.replace('{s}', String(clock?.seconds ?? 0)), next: said };
}

/** Every reason that has words of its own. @param {Language} language */
export const reasonsWithWords = (language) => Object.keys(WORDS[language]);
