//! The holder's hand and eye: does what the page asks with the phone, keeps the codes up to date, listens to the server, and
//! says what is on the screen.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, Sender},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use signer_client::{ClientError, Phone, ShowSession, Showing, StateError};
use signer_core::{
    credential::DocumentType,
    time::UnixSeconds,
    wire::{Check, Event, Profile},
};
use tokio::sync::{oneshot, watch};

use super::cards::{self, Card};
use super::{
    history,
    routes::ShowBody,
    signing::Signing,
    view::{self, About, Held, Notice, Person, Screen, Shown, State},
};
use crate::{Result, Stop};

/// The screen is looked after this often.
const TICK: Duration = Duration::from_millis(250);
/// A stream of events that ended is opened again no sooner.
const LISTEN_AGAIN: Duration = Duration::from_secs(3);
/// For this long the holder is told something in passing.
const NOTICE_FOR: Duration = Duration::from_secs(8);
const LINES: usize = 50;

/// What the holder does on the page.
pub(super) enum Act {
    Show(ShowBody),
    Hide,
    Read(String),
    Answer { id: String, allow: bool },
    Link(String),
    Choose { id: String, code: String },
    Sign { id: String, pin: String },
    Decline(String),
    History,
}

/// What came of it: JSON for the page, or the code of a problem.
pub(super) type Answer = std::result::Result<Value, &'static str>;

/// What reaches the holder's thread.
pub(super) enum Message {
    Act(Act, oneshot::Sender<Answer>),
    Event(Event),
    /// The stream of events has ended.
    Deaf,
}

/// A show and what its session does not know.
struct Show {
    session: ShowSession,
    kind: DocumentType,
    whoever: bool,
    request_of: Option<String>,
    used_at: Option<UnixSeconds>,
}

pub(super) struct Holder<'a> {
    phone: &'a mut Phone,
    /// For the thread that listens.
    messages: Sender<Message>,
    person: Person,
    cards: Vec<Card>,
    shop: String,
    step_seconds: u64,
    show: Option<Show>,
    checks: Vec<Check>,
    signing: Signing,
    notice: Option<(Notice, Instant)>,
    listening: bool,
    listen_at: Instant,
    top_up_at: Option<Instant>,
    drawn: Option<(Shown, String, String)>,
    version: u64,
}

impl<'a> Holder<'a> {
    pub(super) fn new(
        phone: &'a mut Phone,
        shop: String,
        messages: Sender<Message>,
        step_seconds: u64,
    ) -> Result<Self> {
        let (person, cards) = cards::read()?;
        Ok(Self {
            phone,
            messages,
            person,
            cards,
            shop,
            step_seconds,
            show: None,
            checks: Vec::new(),
            signing: Signing::default(),
            notice: None,
            listening: false,
            listen_at: Instant::now(),
            top_up_at: None,
            drawn: None,
            version: 0,
        })
    }

    /// Until Ctrl-C. An act is answered after the screen shows what came of it.
    pub(super) fn run(
        mut self,
        messages: &Receiver<Message>,
        screen: &watch::Sender<Screen>,
        stop: &Stop,
    ) -> Result<()> {
        while !stop.asked() {
            let answered = match messages.recv_timeout(TICK) {
                Ok(Message::Act(act, reply)) => {
                    self.notice = None;
                    Some((self.act(act), reply))
                }
                Ok(Message::Event(event)) => {
                    self.event(event);
                    None
                }
                Ok(Message::Deaf) => {
                    (self.listening, self.listen_at) = (false, Instant::now() + LISTEN_AGAIN);
                    None
                }
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Err("the page's threads ended".into()),
            };
            self.look_after();
            self.publish(screen);
            if let Some((answer, reply)) = answered {
                let _the_page_went_away = reply.send(answer);
            }
        }
        self.hide();
        Ok(())
    }

    fn act(&mut self, act: Act) -> Answer {
        match act {
            Act::Show(body) => self.start(&body).map_err(|error| code(&error)),
            Act::Hide => {
                self.hide();
                Ok(Value::Null)
            }
            Act::Read(text) => self.read(&text).map_err(|error| code(&error)),
            Act::Answer { id, allow } => self.answer(&id, allow),
            Act::Link(link) => self.signing.open_link(self.phone, &link),
            Act::Choose { id, code } => self.signing.choose(self.phone, &id, &code),
            Act::Sign { id, pin } => self.signing.sign(self.phone, &id, &pin),
            Act::Decline(id) => self.signing.decline(self.phone, &id),
            Act::History => {
                let history = self.phone.history(LINES).map_err(|error| code(&error))?;
                Ok(history::view(history))
            }
        }
    }

    /// What a business asks for, before anything is agreed to.
    fn read(&self, text: &str) -> std::result::Result<Value, ClientError> {
        let request = self.phone.read_request(text)?;
        let document_type = request.document_type().map(view::kind_name);
        Ok(
            json!({ "name": request.name(), "profile": request.profile().name(), "document_type": document_type }),
        )
    }

    fn start(&mut self, body: &ShowBody) -> std::result::Result<Value, ClientError> {
        let odd = ClientError::Usage("the page asked for what it does not offer");
        let kind = view::kind_of(&body.document_type);
        let profile = Profile::ALL.into_iter().find(|profile| profile.name() == body.profile);
        let showing = match (profile, body.to_whoever_scans, &body.request) {
            (Some(Profile::Age), false, None) => Showing::age(),
            (Some(Profile::Minimal), false, None) => Showing::minimal(),
            (Some(Profile::Full), true, None) => Showing::to_whoever_scans(Profile::Full),
            // Read anew: what is agreed to is what this text says, and the page showed that.
            (Some(_), false, Some(text)) => Showing::answer(self.phone.read_request(text)?),
            _ => return Err(odd),
        };
        let kind = kind.filter(|_| profile == Some(showing.profile())).ok_or(odd)?;
        let request_of = showing.request().map(|request| request.name().to_owned());
        self.hide();
        let session = self.phone.start_show(kind, showing)?;
        self.show = Some(Show { session, kind, whoever: body.to_whoever_scans, request_of, used_at: None });
        Ok(Value::Null)
    }

    fn hide(&mut self) {
        self.drawn = None;
        if let Some(show) = self.show.take() {
            // Unreachable: its short codes end by themselves after the step.
            let _offline_is_fine = self.phone.end_display(show.session);
        }
    }

    fn answer(&mut self, id: &str, allow: bool) -> Answer {
        let place = self.checks.iter().position(|check| check.id.to_string() == id).ok_or("ended")?;
        let check = self.checks.remove(place);
        let who = check.verifier.as_str().to_owned();
        match self.phone.answer_check(&check, allow) {
            Ok(()) => {
                self.tell(if allow { "allowed" } else { "denied" }, Some(who));
                Ok(Value::Null)
            }
            Err(error) if error.code() == "not_found" => {
                self.tell("ended", Some(who));
                Ok(Value::Null)
            }
            Err(error) => {
                // It may not have arrived: the holder can answer again.
                self.checks.insert(place, check);
                Err(code(&error))
            }
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Used => {
                if let Some(show) = &mut self.show
                    && self.phone.poll(&mut show.session).unwrap_or(false)
                {
                    show.used_at = Some(self.phone.now());
                }
            }
            Event::Checks => self.read_checks(),
            Event::Documents => self.renew(),
            Event::Requests => self.read_requests(),
            Event::History => {}
        }
    }

    /// What a register's event ended is shown no more.
    fn renew(&mut self) {
        match self.phone.renew_withdrawn() {
            // A stream begins with every event: nothing need have happened.
            Ok(kinds) if kinds.is_empty() => return,
            Ok(_) => self.tell("documents", None),
            // The next stream begins with this event again.
            Err(_) => return,
        }
        if let Some(show) = &mut self.show
            && let Err(error) = self.phone.replace_withdrawn(&mut show.session)
        {
            (self.show, self.drawn) = (None, None);
            self.tell(code(&error), None);
        }
    }

    fn read_checks(&mut self) {
        let Ok(checks) = self.phone.checks() else { return };
        let gone = self.checks.iter().find(|old| checks.iter().all(|check| check.id != old.id));
        let gone = gone.map(|check| check.verifier.as_str().to_owned());
        self.checks = checks;
        if let Some(who) = gone {
            self.tell("ended", Some(who));
        }
    }

    fn read_requests(&mut self) {
        if let Some(who) = self.signing.read(self.phone) {
            self.tell("request_gone", Some(who));
        }
    }

    /// What is due without anybody asking.
    fn look_after(&mut self) {
        if !self.listening && Instant::now() >= self.listen_at {
            self.listen();
        }
        let now = self.phone.now();
        if self.checks.iter().any(|check| now >= check.expires) {
            self.read_checks();
        }
        if self.signing.is_due(now) {
            self.read_requests();
        }
        if self.notice.as_ref().is_some_and(|(_, since)| since.elapsed() > NOTICE_FOR) {
            self.notice = None;
        }
        self.top_up();
        if let Err(error) = self.draw() {
            self.show = None;
            self.drawn = None;
            self.tell(code(&error), None);
        }
    }

    /// Another thread reads the stream; it ends with the connection.
    fn listen(&mut self) {
        let Ok(events) = self.phone.listen() else {
            self.listen_at = Instant::now() + LISTEN_AGAIN;
            return;
        };
        self.listening = true;
        // By it the phone knows the businesses that ask.
        if let Err(error) = self.phone.refresh_trust_list() {
            eprintln!("demo: {error}");
        }
        let messages = self.messages.clone();
        std::thread::spawn(move || {
            for event in events.map_while(std::result::Result::ok) {
                if messages.send(Message::Event(event)).is_err() {
                    return;
                }
            }
            let _ending_too = messages.send(Message::Deaf);
        });
    }

    /// Fresh credentials, at a moment that does not follow a show; at once only where none is left.
    fn top_up(&mut self) {
        let few = self.cards.iter().any(|card| self.phone.needs_top_up(card.kind));
        if !few && self.top_up_at.is_none() {
            return;
        }
        let delay = Duration::from_secs(self.phone.top_up_delay());
        let due = *self.top_up_at.get_or_insert_with(|| Instant::now() + delay);
        if !self.listening || Instant::now() < due {
            return;
        }
        self.top_up_at = None;
        for card in self.cards.clone() {
            if let Err(error) = self.phone.top_up(card.kind) {
                self.tell(code(&error), None);
            }
        }
    }

    /// The codes of now. Their pictures are made again only when they change.
    fn draw(&mut self) -> std::result::Result<(), ClientError> {
        let Some(show) = &mut self.show else { return Ok(()) };
        let codes = self.phone.display(&mut show.session)?;
        let about = About {
            session: &show.session,
            kind: show.kind,
            whoever: show.whoever,
            request_of: show.request_of.as_deref(),
            step_seconds: self.step_seconds,
            used_at: show.used_at,
            version: self.version,
        };
        let Ok(new) = view::shown(&about, &codes) else {
            return Err(ClientError::Usage("a code that cannot be drawn"));
        };
        let changed = self.drawn.as_ref().is_none_or(|(_, qr, bar)| (qr, bar) != (&new.1, &new.2));
        self.drawn = Some(new);
        if changed {
            self.version += 1;
            return self.draw();
        }
        Ok(())
    }

    fn tell(&mut self, code: &'static str, who: Option<String>) {
        self.notice = Some((Notice { code, who }, Instant::now()));
    }

    /// The page is told to look again only if something but the time is another.
    fn publish(&self, screen: &watch::Sender<Screen>) {
        let held = |card: &Card| Held {
            kind: view::kind_name(card.kind),
            number: card.number.clone(),
            expires: card.expires.clone(),
            stock: self.phone.stock(card.kind).into(),
        };
        let state = State {
            online: self.listening,
            person: self.person.clone(),
            shop: self.shop.clone(),
            documents: self.cards.iter().map(held).collect(),
            show: self.drawn.as_ref().map(|(shown, ..)| shown.clone()),
            checks: self.checks.iter().map(view::asked).collect(),
            requests: self.signing.view(),
            notice: self.notice.as_ref().map(|(notice, _)| notice.clone()),
        };
        let clock = Some((self.phone.now(), Instant::now()));
        screen.send_if_modified(|screen| {
            screen.clock = clock;
            let changed = screen.state != state;
            if changed {
                screen.state = state;
                (screen.qr, screen.bar) = self
                    .drawn
                    .as_ref()
                    .map_or_else(Default::default, |(_, qr, bar)| (qr.clone(), bar.clone()));
            }
            changed
        });
    }
}

/// Problems that the page has words for, by their own names.
const TOLD: [&str; 11] = [
    "no_document",
    "request_closed",
    "link_unknown",
    "link_stale",
    "link_used",
    "too_many",
    "locked",
    "blocked",
    "suspended",
    "revoked",
    "outcome_unknown",
];

/// The page has words for these.
pub(super) fn code(error: &ClientError) -> &'static str {
    match error {
        ClientError::State(StateError::NoCredential | StateError::CredentialExpired) => "no_credential",
        ClientError::Request(_) => "request_refused",
        ClientError::State(StateError::RequestOver) => "request_expired",
        error if TOLD.contains(&error.code()) => error.code(),
        error if error.fault() == signer_client::Fault::Network => "offline",
        error => {
            eprintln!("demo: {error}");
            "failed"
        }
    }
}
