//! PINs that a thief tries first.

/// Whether `digits` is all one digit, a run up or down, a block repeated, or on the short list.
pub(super) fn is_common(digits: &[u8]) -> bool {
    is_run(digits, 1) || is_run(digits, 9) || is_repeated(digits) || LIST.contains(&digits)
}

/// Whether each digit follows from the one before by adding `step` mod 10: 345678, 890123, 654321.
fn is_run(digits: &[u8], step: u8) -> bool {
    let value = |digit: &u8| digit.wrapping_sub(b'0');
    digits
        .iter()
        .zip(digits.iter().skip(1))
        .all(|(one, next)| value(one).wrapping_add(step) % 10 == value(next))
}

/// Whether a block of at most half the length goes on from start to end: 111111, 1212121, 123123, 12341234.
fn is_repeated(digits: &[u8]) -> bool {
    let half = digits.len().checked_div(2).unwrap_or_default();
    (1..=half).any(|block| digits.iter().zip(digits.iter().skip(block)).all(|(one, later)| one == later))
}

/// Common PINs that no rule above finds: keypad patterns, doubles, mirrors, counting in pairs.
const LIST: &[&[u8]] = &[
    b"001122",
    b"010203",
    b"100000",
    b"100200",
    b"101101",
    b"102030",
    b"110011",
    b"111000",
    b"111222",
    b"112211",
    b"112233",
    b"112358",
    b"121314",
    b"122333",
    b"123321",
    b"123654",
    b"123789",
    b"134679",
    b"135790",
    b"135791",
    b"142536",
    b"145236",
    b"147258",
    b"147852",
    b"147896",
    b"147963",
    b"159357",
    b"159753",
    b"159951",
    b"200000",
    b"202122",
    b"211221",
    b"221122",
    b"223344",
    b"246810",
    b"248163",
    b"258456",
    b"314159",
    b"321654",
    b"332211",
    b"334455",
    b"357159",
    b"369258",
    b"445566",
    b"456123",
    b"456654",
    b"456852",
    b"520131",
    b"556677",
    b"654456",
    b"665544",
    b"667788",
    b"741852",
    b"741963",
    b"753159",
    b"753951",
    b"789123",
    b"789456",
    b"852456",
    b"951357",
    b"951753",
    b"963258",
    b"963852",
    b"987321",
    b"998877",
    b"1122334",
    b"1234321",
    b"1236987",
    b"1472583",
    b"11112222",
    b"11223344",
    b"12121313",
    b"12344321",
    b"12345687",
    b"12369874",
    b"13579246",
    b"14725836",
    b"14789632",
    b"31415926",
    b"88776655",
    b"112233445566",
    b"123456654321",
    b"314159265358",
];
