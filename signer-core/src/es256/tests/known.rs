//! With every secret known, what comes out is what ordinary ECDSA gives for the same key and nonce.

use p256::{ProjectivePoint, Scalar, ecdsa::Signature as Plain};

use super::{
    by_hand::{ByHand, random, x_of},
    *,
};
use crate::domain::Domain;

/// ECDSA of the textbook (FIPS 186-5 §6.4.1) with a nonce given, and the smaller s. RFC 6979's values vouch for it below.
fn plain(x: Scalar, k: Scalar, digest: &[u8; 32]) -> Vec<u8> {
    let r = x_of(ProjectivePoint::GENERATOR * k);
    let s = k.invert().unwrap() * (scalars::reduced(digest) + r * x);
    let bytes = [scalars::bytes(&r), scalars::bytes(&s)].concat();
    Plain::from_slice(&bytes).unwrap().normalize_s().to_bytes().to_vec()
}

#[test]
fn e25_003_the_result_is_the_plain_signature_with_nonce_k1_times_k2_plus_e() {
    for number in 0..2 {
        let mut world = World::new(number);
        let x = scalars::canonical(world.device.0.expose()).unwrap()
            + scalars::canonical(&world.server.0[..32]).unwrap();
        let public = points::from_uncompressed(&points::base_multiple_plain(&x).unwrap()).unwrap();
        assert_eq!(points::compressed(&public.to_affine()).unwrap(), world.public_key.0);
        for _ in 0..16 {
            let digest = scalars::bytes(&random(&mut world.rng));
            let context = SigningContext { digest: &digest, ..world.context() };
            let (hand, device, server) = ByHand::fresh(&mut world, &context);
            let seed = context.nonce_seed(&world.nonce_key, &device);
            let k2 = scalars::derived(seed.expose(), Domain::Es256ServerNonce, &[&world.server.0[..32]]);
            assert_eq!(points::base_multiple_plain(&k2).unwrap(), server.as_slice()[..65]);
            let messages = (device, server, hand.honest());
            let signature = world.finish(&context, &messages).unwrap();
            assert_eq!(signature.as_slice(), plain(x, hand.k1 * (*k2 + hand.e), &digest));
        }
    }
}

fn hex<const N: usize>(text: &str) -> [u8; N] {
    let bytes: Vec<u8> = (0..N).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect();
    bytes.try_into().unwrap()
}

/// RFC 6979 A.2.5, P-256 with SHA-256. Its nonces cannot be had from two parties; its signatures can be verified, and the
/// formula that makes ours makes them.
#[test]
fn e25_004_rfc_6979_signatures_verify_and_high_s_is_refused() {
    let x: [u8; 32] = hex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721");
    let public = hex::<32>("60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6");
    let public = GroupPublicKey(with(&[3; 33], 1, &public).try_into().unwrap());
    let cases = [
        (
            &b"sample"[..],
            "A6E3C57DD01ABE90086538398355DD4C3B17AA873382B0F24D6129493D8AAD60",
            "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
            "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
            false,
        ),
        (
            b"test",
            "D16B6AE827F17175E040871A1C7EC3500192C4C92677336EC2537ACAEE0008E0",
            "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367",
            "019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083",
            true,
        ),
    ];
    for (message, k, r, s, is_low) in cases {
        let digest = crate::domain::sha256(message);
        let signature = [hex::<32>(r), hex::<32>(s)].concat();
        assert!(ecdsa::verify(&public.0, &digest, signature.as_slice().try_into().unwrap()));
        assert!(ecdsa::verify_plain(&public.0, &digest, signature.as_slice().try_into().unwrap()));
        assert_eq!(Es256.verify(&public, &digest, &Signature::new(signature.clone()).unwrap()), is_low);
        let low = Plain::from_slice(&signature).unwrap().normalize_s().to_bytes().to_vec();
        let secret = |text: &[u8]| scalars::canonical(text).unwrap();
        assert_eq!(plain(secret(&x), secret(&hex::<32>(k)), &digest), low);
        assert!(Es256.verify(&public, &digest, &Signature::new(low).unwrap()));
    }
}
