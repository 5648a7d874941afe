//! What stands twice in the suite agrees: points, verification, and the sum of pads and corrections.

use p256::Scalar;

use super::{by_hand::random, *};

/// The form of a point, one byte, and whether the two strict readers take it.
#[test]
fn e25_080_each_point_has_one_encoding_per_place() {
    let point =
        points::from_uncompressed(&points::base_multiple_plain(&Scalar::from(7_u64)).unwrap()).unwrap();
    let long = points::uncompressed(&point).unwrap();
    let short = points::compressed(&point.to_affine()).unwrap();
    for form in 0..=u8::MAX {
        assert_eq!(points::from_uncompressed(&with(&long, 0, &[form])).is_some(), form == 4);
        assert_eq!(points::from_compressed(&with(&short, 0, &[form])).is_some(), form == 2 || form == 3);
    }
    assert!(points::from_uncompressed(&short).is_none() && points::from_compressed(&long).is_none());
    assert!(points::from_uncompressed(&[0]).is_none() && points::from_compressed(&[0]).is_none());
    assert!(points::uncompressed(&p256::ProjectivePoint::IDENTITY).is_none());
    assert!(points::compressed(&p256::AffinePoint::IDENTITY).is_none());
    assert!(points::base_multiple_plain(&Scalar::ZERO).is_none());
    assert!(points::multiple_x_plain(&Scalar::ZERO, &long).is_none());
}

#[test]
fn e25_081_scalars_have_one_encoding_and_reduction_is_right() {
    let less_one: [u8; 32] = flipped(&ORDER, 31, 1).try_into().unwrap();
    assert_eq!(scalars::canonical(&less_one), Some(-Scalar::ONE));
    assert_eq!(scalars::canonical(&[0; 32]), Some(Scalar::ZERO));
    for bytes in [&ORDER[..], &[0xff; 32], &[0; 31], &[0; 33], &[]] {
        assert_eq!(scalars::canonical(bytes), None);
    }
    assert_eq!(scalars::nonzero(&[0; 32]), None);
    assert_eq!(scalars::reduced(&ORDER), Scalar::ZERO);
    // 2²⁵⁶ by doubling; and 512 bits against digit by digit.
    let two_256 = (0..256).fold(Scalar::ONE, |power, _| power.double());
    let mut rng = StdRng::seed_from_u64(90);
    let byte_by_byte = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(Scalar::ZERO, |sum, byte| sum * Scalar::from(256_u64) + Scalar::from(u64::from(*byte)))
    };
    for _ in 0..200 {
        let wide = SecretBytes::<64>::random(&mut rng);
        assert_eq!(scalars::wide(wide.expose()), byte_by_byte(wide.expose()));
    }
    for byte in [0, 1, 0x7f, 0x80, 0xff] {
        assert_eq!(scalars::wide(&[byte; 64]), byte_by_byte(&[byte; 64]));
    }
    let mut one_high = [0; 64];
    one_high[31] = 1;
    assert_eq!(scalars::wide(&one_high), two_256);
    for _ in 0..200 {
        let s = random(&mut rng);
        let low = scalars::low_s(&s);
        assert!(low == s || low == -s);
        assert!(scalars::is_low_s(&with(&[0; 64], 32, &scalars::bytes(&low)).try_into().unwrap()));
        assert!(!scalars::is_low_s(&with(&[0; 64], 32, &scalars::bytes(&-low)).try_into().unwrap()));
    }
}

/// Masks: any PIN gives a canonical share, the right one the right share.
#[test]
fn e25_082_every_mask_gives_a_share() {
    let mut rng = StdRng::seed_from_u64(91);
    for _ in 0..64 {
        let share = DeviceShare(Secret::new(scalars::bytes(&random(&mut rng))));
        let (mask, other) = (SecretBytes::random(&mut rng), SecretBytes::random(&mut rng));
        let masked = Es256.mask(&share, &mask);
        assert!(Es256.unmask(&masked, &mask).0.ct_eq(&share.0));
        assert!(!Es256.unmask(&masked, &other).0.ct_eq(&share.0));
        for masked in [masked, MaskedShare([0; 32]), MaskedShare(ORDER), MaskedShare([0xff; 32])] {
            assert!(scalars::canonical(Es256.unmask(&masked, &other).0.expose()).is_some());
        }
    }
}

/// One compression of a block laid out by hand, against the hash function's ordinary interface.
#[test]
fn e25_088_both_ways_to_a_pad_agree() {
    let mut rng = StdRng::seed_from_u64(94);
    for _ in 0..16 {
        let tweak: pads::Tweak = *SecretBytes::<16>::random(&mut rng).expose();
        let mut pads = pads::Pads::new(&tweak);
        for _ in 0..64 {
            let seed = SecretBytes::<32>::random(&mut rng);
            assert_eq!(*pads.pad(seed.expose()).scalar(), *pads::pad_plain(seed.expose(), &tweak));
        }
    }
    for byte in [0, 0xff] {
        let plain = pads::pad_plain(&[byte; 32], &[byte; 16]);
        assert_eq!(*pads::Pads::new(&[byte; 16]).pad(&[byte; 32]).scalar(), *plain);
    }
}

/// Less than the order, by limbs: right at it, and with every limb at its ends.
#[test]
fn e25_089_limbs_are_compared_with_the_order() {
    let agree = |bytes: &[u8; 32]| {
        assert_eq!(
            scalars::is_reduced(&scalars::limbs(bytes)),
            scalars::canonical(bytes).is_some(),
            "{bytes:02x?}"
        );
    };
    for last in 0..=u8::MAX {
        agree(&with(&ORDER, 31, &[last]).try_into().unwrap());
    }
    for at in 0..32 {
        for mask in [1, 0x80, 0xff] {
            agree(&flipped(&ORDER, at, mask).try_into().unwrap());
        }
    }
    let ends = [[0; 8], [0xff; 8], [0x80, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 1]];
    for combination in 0..256_usize {
        let limb = |i: usize| {
            let own: [u8; 8] = ORDER[8 * i..][..8].try_into().unwrap();
            [own, ends[0], ends[1], ends[2]][(combination >> (2 * i)) & 3]
        };
        agree(&[limb(0), limb(1), limb(2), limb(3)].concat().try_into().unwrap());
    }
}

/// A seed whose pad is above 2²⁵⁶ − 2²⁴⁰: as near to the order as a short search gets.
fn large_pad(tweak: &pads::Tweak) -> pads::Pad {
    let seeds = (0_u32..).map(|number| {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&number.to_be_bytes());
        seed
    });
    seeds
        .map(|seed| pads::Pads::new(tweak).pad(&seed))
        .find(|pad| scalars::bytes(&pad.scalar()).starts_with(&[0xff, 0xff]))
        .unwrap()
}

#[test]
fn e25_083_the_lazy_sum_is_the_sum() {
    let mut rng = StdRng::seed_from_u64(92);
    let tweak = [3; 16];
    let compare = |terms: &[(pads::Pad, u64, [u8; 32])]| {
        let mut lazy = pads::Sum::new();
        let mut plain = Scalar::ZERO;
        for (pad, choice, correction) in terms {
            lazy.term(pad, *choice, correction);
            let chosen = if *choice == 0 { Scalar::ZERO } else { scalars::reduced(correction) };
            plain = plain.double() + *pad.scalar() + chosen;
        }
        assert_eq!(*lazy.finish(), plain, "{} terms", terms.len());
    };
    // Every number of terms: each position of the last reduction.
    for length in (0..=100).chain([255, 256, 257]) {
        let terms: Vec<_> = (0..length)
            .map(|_| {
                let seed = SecretBytes::<32>::random(&mut rng);
                let correction = scalars::bytes(&random(&mut rng));
                let choice = u64::from(rand::Rng::next_u32(&mut rng) & 1).wrapping_neg();
                (pads::Pads::new(&tweak).pad(seed.expose()), choice, correction)
            })
            .collect();
        compare(&terms);
    }
    // The greatest terms: pads near the order, all choices set, corrections of all ones.
    let less_one: [u8; 32] = flipped(&ORDER, 31, 1).try_into().unwrap();
    for (choice, correction) in
        [(0, [0xff; 32]), (u64::MAX, [0xff; 32]), (u64::MAX, less_one), (u64::MAX, [0; 32])]
    {
        let large = large_pad(&tweak);
        let copy = || pads::Pads::new(&tweak).pad(&[0; 32]);
        let mut terms: Vec<_> = (0..BITS).map(|_| (copy(), choice, correction)).collect();
        compare(&terms);
        terms.clear();
        // One pad many times over: the reference needs no second copy of it.
        let (mut lazy, mut plain) = (pads::Sum::new(), Scalar::ZERO);
        let chosen = if choice == 0 { Scalar::ZERO } else { scalars::reduced(&correction) };
        for _ in 0..BITS {
            lazy.term(&large, choice, &correction);
            plain = plain.double() + *large.scalar() + chosen;
        }
        assert_eq!(*lazy.finish(), plain);
    }
}

#[cfg(feature = "aws-lc")]
mod aws_lc {
    //! aws-lc-rs against `p256`. Where they are told apart, the suite refuses before either is asked.

    use super::*;

    #[test]
    fn e25_084_multiples_agree() {
        let mut rng = StdRng::seed_from_u64(93);
        let edges = [Scalar::ZERO, Scalar::ONE, Scalar::from(2_u64), -Scalar::ONE, -Scalar::from(2_u64)];
        let scalars: Vec<Scalar> = edges.into_iter().chain((0..200).map(|_| random(&mut rng))).collect();
        let mut point = points::base_multiple_plain(&Scalar::ONE).unwrap();
        for k in &scalars {
            assert_eq!(points::base_multiple(k), points::base_multiple_plain(k));
            for k in [k].into_iter().chain(&edges) {
                assert_eq!(points::multiple_x(k, &point), points::multiple_x_plain(k, &point));
            }
            point = points::base_multiple_plain(k).unwrap_or(point);
        }
    }

    #[test]
    fn e25_085_what_only_one_of_them_reads_is_refused_before() {
        let k = Scalar::from(5_u64);
        let long = points::base_multiple_plain(&Scalar::from(7_u64)).unwrap();
        let mut encodings: Vec<Vec<u8>> = (0..=u8::MAX).map(|form| with(&long, 0, &[form])).collect();
        encodings.extend((1..65).map(|at| flipped(&long, at, 1)));
        encodings.extend([with(&long, 1, &[0; 64]), with(&long, 1, &[0xff; 64]), with(&long, 0, &[0; 65])]);
        let mut only_fast = 0;
        for encoding in encodings {
            let encoding: points::Uncompressed = encoding.try_into().unwrap();
            let read = points::from_uncompressed(&encoding);
            let (fast, plain) = (points::multiple_x(&k, &encoding), points::multiple_x_plain(&k, &encoding));
            assert_eq!(plain.is_some(), read.is_some(), "{encoding:02x?}");
            if read.is_some() {
                assert_eq!(fast, plain, "{encoding:02x?}");
            } else {
                only_fast += usize::from(fast.is_some());
            }
        }
        assert_eq!(only_fast, 1, "the hybrid form is what aws-lc-rs takes and we do not");
    }
}
