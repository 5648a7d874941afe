//! The vehicles of two organisations: all of them are made up.

/// Organisation, reference, plate, model, number of the registration.
pub(crate) type Row = (&'static str, String, String, &'static str, String);

/// A taxi company of 1,200 vehicles and a bus company of 40.
pub(crate) fn vehicles() -> impl Iterator<Item = Row> {
    let taxis = (1..=1200).map(|number| row("40000001", ("AA", "АА"), number, "Škoda Octavia Combi"));
    taxis.chain((1..=40).map(|number| row("40000002", ("KA", "КА"), number, "Богдан А092")))
}

/// The reference is the plate in Latin letters.
fn row(organisation: &'static str, (latin, letters): (&str, &str), number: u32, model: &'static str) -> Row {
    let plate = format!("{letters}{number:04}ЕХ");
    (organisation, format!("{latin}{number:04}EX"), plate, model, format!("СХН{:06}", 100_000 + number))
}
