//! A server that sends what it should not. The device refuses before its share is touched, and its nonce is gone.

use super::{nonces::others, *};

/// What the device says to an answer of these bytes. A nonce serves once; a copy of its bytes stands for it here.
fn refused(
    world: &World,
    context: &SigningContext<'_>,
    nonce: &[u8],
    device: &Commitment,
    answer: &[u8],
) -> bool {
    let server = Commitment::new(answer.to_vec()).unwrap();
    let commitments = Commitments { device, server: &server };
    match world.part(context, DeviceNonce::new(nonce.to_vec()), commitments) {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error, SuiteError::Peer);
            true
        }
    }
}

#[test]
fn e25_050_no_byte_of_the_servers_commitment_may_differ() {
    let mut world = World::new(50);
    let context = world.context();
    let (nonce, device, server) = world.commit(&context);
    let refused = |answer: &[u8]| refused(&world, &context, nonce.bytes(), &device, answer);
    let bytes = server.as_slice();
    assert!(!refused(bytes));
    for at in 0..bytes.len() {
        for mask in [1, 2, 4, 0x80, 0xff] {
            assert!(refused(&flipped(bytes, at, mask)), "byte {at}");
        }
    }
    for value in [&[0; 32][..], &ORDER, &flipped(&ORDER, 31, 1), &[0xff; 32]] {
        for at in [1, 33, 65, 97] {
            assert!(refused(&with(bytes, at, value)));
        }
    }
    for other in
        [&[][..], &bytes[..65], &bytes[..128], &[bytes, &[0]].concat(), &[&[0], &bytes[65..]].concat()]
    {
        assert!(refused(other));
    }
}

#[test]
fn e25_051_another_point_or_encoding_is_not_proven() {
    let mut world = World::new(51);
    let context = world.context();
    let (nonce, device, server) = world.commit(&context);
    let refused = |answer: &[u8]| refused(&world, &context, nonce.bytes(), &device, answer);
    let (r2, proof) = server.as_slice().split_at(65);
    let point = points::from_uncompressed(r2).unwrap();
    let compressed = points::compressed(&point.to_affine()).unwrap();
    assert!(refused(&[&compressed[..], proof].concat()));
    for form in (0..=u8::MAX).filter(|form| *form != 4) {
        assert!(refused(&with(server.as_slice(), 0, &[form])));
    }
    assert!(refused(&with(server.as_slice(), 0, &[0; 65])));
    for other in [-point, point + point, p256::ProjectivePoint::GENERATOR] {
        let other = points::uncompressed(&other).unwrap();
        assert!(refused(&[&other[..], proof].concat()));
    }
    // A proof of the same point for nothing, or under another session.
    let k2 = p256::Scalar::from(3_u64);
    let own = points::base_multiple_plain(&k2).unwrap();
    let prove = |session: &[u8; 32]| proof::prove(&k2, &own, session, &p256::Scalar::from(5_u64)).unwrap();
    let session = transcript::session(&context, &device, &own);
    assert!(!refused(&[&own[..], &prove(&session)].concat()), "the server may choose any nonce it can prove");
    for wrong in [[0; 32], flipped(&session, 0, 1).try_into().unwrap()] {
        assert!(refused(&[&own[..], &prove(&wrong)].concat()));
    }
}

#[test]
fn e25_052_an_answer_is_for_one_context_and_one_commitment() {
    let mut world = World::new(52);
    let context = world.context();
    let (nonce, device, server) = world.commit(&context);
    for other in others(&context) {
        // What the device holds in hand differs from what the server answered to: digest, text, epoch, position, key.
        assert!(refused(&world, &other, nonce.bytes(), &device, server.as_slice()), "{other:?}");
        let answer = world.answer(&other, &device);
        assert!(refused(&world, &context, nonce.bytes(), &device, answer.as_slice()), "{other:?}");
    }
    let (_, strange, answer) = world.commit(&context);
    assert!(refused(&world, &context, nonce.bytes(), &device, answer.as_slice()));
    // A commitment that is not of this nonce is the device's own fault.
    let commitments = Commitments { device: &strange, server: &answer };
    assert_eq!(world.part(&context, nonce, commitments), Err(SuiteError::OwnMaterial));
}

#[test]
fn e25_053_a_damaged_nonce_is_refused() {
    let mut world = World::new(53);
    let context = world.context();
    let (nonce, device, server) = world.commit(&context);
    let commitments = Commitments { device: &device, server: &server };
    let bytes = nonce.bytes();
    let damaged = [
        Vec::new(),
        bytes[..160].to_vec(),
        [bytes, &[0]].concat(),
        with(bytes, 0, &[0; 32]),
        with(bytes, 0, &ORDER),
        flipped(bytes, 32, 1),
        flipped(bytes, 96, 1),
        flipped(bytes, 97, 1),
    ];
    for damaged in damaged {
        let result = world.part(&context, DeviceNonce::new(damaged), commitments);
        assert_eq!(result, Err(SuiteError::OwnMaterial));
    }
}
