//! Baseline: threshold ECDSA over P-256 by the crate `dkls23`, 2 of 2. Party 1 is the one that outputs the signature.

use std::{collections::BTreeMap, time::Duration};

use dkls23::{
    DkgSession, SignSession,
    protocols::{
        Parameters, PartyIndex,
        messages::{MessageTag, PhaseOutput},
        signing::SignData,
    },
    secp256r1::Party,
};
use p256::NistP256;

use crate::{alternate::thread_cpu, parties::DIGEST};

/// What one run cost: the CPU time of party 1, and all bytes in both directions, encoded as the crate does it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    /// Of party 1.
    pub cpu: Duration,
    /// Both ways.
    pub bytes: usize,
}

impl Cost {
    fn take<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let start = thread_cpu();
        let result = work();
        self.cpu += thread_cpu() - start;
        result
    }

    fn sent<T: MessageTag>(&mut self, message: &T) {
        let mut output = PhaseOutput::new();
        output.add_broadcast(message).unwrap();
        self.bytes += output.broadcasts.iter().map(Vec::len).sum::<usize>();
    }
}

/// Both parties of one key.
#[derive(Debug)]
pub struct Pair([Party; 2]);

fn indexes() -> [PartyIndex; 2] {
    [PartyIndex::new(1).unwrap(), PartyIndex::new(2).unwrap()]
}

impl Pair {
    /// Generates a key.
    ///
    /// # Panics
    /// If anything fails.
    #[must_use]
    pub fn generate() -> (Self, Cost) {
        let mut cost = Cost::default();
        let [mut one, mut two] = indexes()
            .map(|index| DkgSession::<NistP256>::new(Parameters::new(2, 2).unwrap(), index, vec![7; 32]));
        let fragments = [cost.take(|| one.phase1()), two.phase1()];
        // One scalar each way.
        cost.bytes += 2 * 32;
        let to = |index: usize| fragments.each_ref().map(|row| *row.get(index).unwrap());
        let (proof_1, zero_12, bip_1) = cost.take(|| one.phase2(&to(0)).unwrap());
        let (proof_2, zero_21, bip_2) = two.phase2(&to(1)).unwrap();
        let (zero_12_b, mul_12, bip_1_b) = cost.take(|| one.phase3().unwrap());
        let (zero_21_b, mul_21, bip_2_b) = two.phase3().unwrap();
        [&proof_1, &proof_2].into_iter().for_each(|message| cost.sent(message));
        [&bip_1, &bip_2].into_iter().for_each(|message| cost.sent(message));
        [&bip_1_b, &bip_2_b].into_iter().for_each(|message| cost.sent(message));
        zero_12.iter().chain(&zero_21).for_each(|message| cost.sent(message));
        zero_12_b.iter().chain(&zero_21_b).for_each(|message| cost.sent(message));
        mul_12.iter().chain(&mul_21).for_each(|message| cost.sent(message));
        let proofs = [proof_1, proof_2];
        let bips: BTreeMap<_, _> = indexes().into_iter().zip([bip_1, bip_2]).collect();
        let bips_b: BTreeMap<_, _> = indexes().into_iter().zip([bip_1_b, bip_2_b]).collect();
        let name = |_: &p256::AffinePoint| String::new();
        let (party_1, _) =
            cost.take(|| one.phase4(&proofs, &zero_21, &zero_21_b, &mul_21, &bips, &bips_b, name).unwrap());
        let (party_2, _) = two.phase4(&proofs, &zero_12, &zero_12_b, &mul_12, &bips, &bips_b, name).unwrap();
        (Self([party_1, party_2]), cost)
    }

    /// Signs. Phase 4, which verifies the signature, is run by party 1 alone.
    ///
    /// # Panics
    /// If anything fails.
    #[must_use]
    pub fn sign(&self) -> Cost {
        let mut cost = Cost::default();
        let [party_1, party_2] = &self.0;
        let [index_1, index_2] = indexes();
        let data =
            |other| SignData { sign_id: vec![8; 32], counterparties: vec![other], message_hash: DIGEST };
        let (mut one, first_1) = cost.take(|| SignSession::new(party_1, data(index_2)).unwrap());
        let (mut two, first_2) = SignSession::new(party_2, data(index_1)).unwrap();
        let second_1 = cost.take(|| one.phase2(&first_2).unwrap());
        let second_2 = two.phase2(&first_1).unwrap();
        let third_1 = cost.take(|| one.phase3(&second_2).unwrap());
        let third_2 = two.phase3(&second_1).unwrap();
        first_1.iter().chain(&first_2).for_each(|message| cost.sent(message));
        second_1.iter().chain(&second_2).for_each(|message| cost.sent(message));
        cost.sent(&third_2);
        let both = [third_1, third_2];
        let _signature = cost.take(|| one.phase4(&both, true).unwrap());
        cost
    }

    /// Bytes that party 1 keeps of the key.
    ///
    /// # Panics
    /// If it cannot be encoded.
    #[must_use]
    pub fn state(&self) -> usize {
        postcard::to_allocvec(&self.0[0]).unwrap().len()
    }
}
