//! New credentials of organisations' documents. The place is taken before the register is asked: an event that comes in
//! between finds it and ends it, and what the register answered before is not used.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use p256::{ecdsa::SigningKey, elliptic_curve::Generate as _};
use signer_core::{
    credential::{DayClaims, Document, Kid, LIFE_SECONDS, StatusIndex, Vehicle},
    secret::SecretBytes,
    time::UnixSeconds,
    wire::ProblemCode,
};
use tokio::{runtime::Handle, time::Instant};

use super::{
    Found, Wanted, document_location,
    held::{Fleet, Held},
};
use crate::{
    service::{
        KeyPurpose, Refusal, Service, ServiceError, ServiceResult,
        credentials::{DRAWS_MAX, place_row},
        sign::blocking,
    },
    store::{DocumentHash, FleetCredentialRow},
    traces::{self, Part},
};

/// Most credentials made in one call; the others are `overloaded`, and made when they are asked for again.
const MADE_MAX: usize = 250;
/// Most questions to the register at once in one call.
const AT_ONCE: usize = 8;
/// How long after its begin a call puts questions to the register: it is answered well within the time of a request.
const ASKING: Duration = Duration::from_secs(8);

/// What a credential will be made of once the register has answered.
struct Begun {
    wanted: Wanted,
    status: StatusIndex,
    day_key: SigningKey,
}

impl Service {
    /// A credential for each of `wanted`, or why there is none.
    pub(super) async fn make(
        &self,
        fleet: &Fleet,
        wanted: &[Wanted],
        now: UnixSeconds,
    ) -> ServiceResult<Vec<Found>> {
        let Ok(_making) = fleet.making.try_lock() else {
            return Ok(wanted.iter().map(|_| Err(ProblemCode::Overloaded)).collect());
        };
        let begun = {
            let _announced = self.store.announce();
            self.begin(wanted.iter().take(MADE_MAX), now).await?
        };
        let until = Instant::now() + ASKING;
        let questions: Vec<_> = begun.iter().map(|begun| self.ask_vehicle(begun, until)).collect();
        let answers: Vec<_> = stream::iter(questions).buffered(AT_ONCE).collect().await;
        let places: Vec<StatusIndex> = begun.iter().map(|begun| begun.status).collect();
        let made = self.sign_begun(begun, answers, now).await?;
        let mut found: Vec<Found> =
            made.into_iter().map(|(hash, made)| made.and_then(|held| fleet.keep(hash, held))).collect();
        let unused = places.into_iter().zip(&found).filter(|(_, found)| found.is_err());
        let unused: Vec<StatusIndex> = unused.map(|(place, _)| place).collect();
        if !unused.is_empty() {
            self.store.give_back(unused, now).await?;
        }
        found.resize_with(wanted.len(), || Err(ProblemCode::Overloaded));
        Ok(found)
    }

    /// Takes a place for each.
    async fn begin(
        &self,
        wanted: impl Iterator<Item = &Wanted>,
        now: UnixSeconds,
    ) -> ServiceResult<Vec<Begun>> {
        let wanted: Vec<Wanted> = wanted.cloned().collect();
        let (count, random) = (wanted.len(), Arc::clone(&self.random));
        let fresh = move |_| SigningKey::generate_from_rng(&mut *random.rng());
        let day_keys: Vec<SigningKey> = blocking(move || (0..count).map(fresh).collect()).await?;
        let with_key = |(wanted, day_key)| Begun { wanted, status: self.draw_place(now), day_key };
        let mut begun: Vec<Begun> = wanted.into_iter().zip(day_keys).map(with_key).collect();
        for _ in 0..DRAWS_MAX {
            let mut rows = Vec::with_capacity(begun.len());
            for begun in &begun {
                rows.push(self.row(begun, now).await?);
            }
            let taken = self.store.take_places(rows, now).await?;
            if taken.is_empty() {
                return Ok(begun);
            }
            for position in taken {
                let drawn = begun.get_mut(position).ok_or(ServiceError::Bug("a place not asked for"))?;
                drawn.status = self.draw_place(now);
            }
        }
        Err(Refusal::new(ProblemCode::Overloaded).into())
    }

    async fn row(&self, begun: &Begun, now: UnixSeconds) -> ServiceResult<FleetCredentialRow> {
        let location = place_row(begun.status);
        let document = begun.wanted.document.to_string();
        let point = begun.day_key.verifying_key().to_sec1_point(true);
        Ok(FleetCredentialRow {
            status: begun.status,
            document: begun.wanted.hash,
            document_type: begun.wanted.document_type.number().into(),
            wrapped_document: self.wrap_secret(&document_location(&location), document.as_bytes()).await?,
            day_key: point.as_bytes().try_into().map_err(|_| ServiceError::Bug("a day key"))?,
            expires: now.hour().plus(LIFE_SECONDS),
        })
    }

    async fn ask_vehicle(&self, begun: &Begun, until: Instant) -> Result<Vehicle, ProblemCode> {
        let Some(register) = &self.register else { return Err(ProblemCode::RegisterNotReached) };
        let turn = tokio::time::timeout_at(until, self.fleets.questions.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(ProblemCode::Overloaded) };
        if Instant::now() >= until {
            return Err(ProblemCode::Overloaded);
        }
        match traces::span(Part::Register, "vehicle", register.vehicle(&begun.wanted.document)).await {
            Ok(Some(vehicle)) => Ok(vehicle),
            Ok(None) => Err(ProblemCode::NoDocument),
            Err(error) => {
                tracing::warn!(%error, "register");
                Err(ProblemCode::RegisterNotReached)
            }
        }
    }

    /// Signs a credential for each that the register has.
    async fn sign_begun(
        &self,
        begun: Vec<Begun>,
        answers: Vec<Result<Vehicle, ProblemCode>>,
        now: UnixSeconds,
    ) -> ServiceResult<Vec<(DocumentHash, Result<Held, ProblemCode>)>> {
        let issuer = self.keys.in_use(KeyPurpose::Issuer)?;
        let secrets: Vec<SecretBytes<32>> =
            begun.iter().map(|_| SecretBytes::random(&mut *self.rng())).collect();
        let signer = Kid::of(issuer.verifying_key());
        // A token is waited for there, too.
        let runtime = Handle::current();
        blocking(move || {
            let all = begun.into_iter().zip(answers).zip(secrets);
            all.map(|((begun, answer), otp_secret)| {
                let Begun { wanted, status, day_key } = begun;
                let held = answer.and_then(|vehicle| {
                    let document = Document::Vehicle(vehicle);
                    let claims = DayClaims::new(now, *day_key.verifying_key(), status, document, true);
                    let signed = runtime.block_on(issuer.sign_day(claims)).map_err(|error| {
                        tracing::error!(%error, "a credential is not signed");
                        ProblemCode::HsmUnavailable
                    })?;
                    // A document that ended before 1970 has no place in the format.
                    let credential = signed.map_err(|_| ProblemCode::NoDocument)?;
                    Ok(Held { issuer: signer, credential, day_key, otp_secret })
                });
                (wanted.hash, held)
            })
            .collect()
        })
        .await
    }
}
