// SPDX-License-Identifier: MIT OR Apache-2.0
//! Multiples of the generator by a comb (C. H. Lim and P. J. Lee, CRYPTO '94): the bits of the
//! scalar stand in [`ROWS`] rows, and each column of them costs one doubling and one addition from
//! a table of sums of rows. That is two fifths of what a point that is not known before costs.
//!
//! The two curves that nearly all keys are on have tables; their size counts in the SVSM's image,
//! so the others do without.

use elliptic_curve::CurveArithmetic;
use elliptic_curve::FieldBytes;
use elliptic_curve::ff::PrimeField;
use elliptic_curve::group::Group;
use elliptic_curve::point::AffineCoordinates;
use subtle::{ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

use super::EccCurve;
use super::arithmetic::{Projective, Scalar};
use super::curve::{hex, unhex};

/// Rows of the comb.
const ROWS: usize = 4;
/// Sums of rows, that of none among them.
const SUMS: usize = 1 << ROWS;

/// `scalar` · G, in a time that doesn't depend on the scalar.
pub(super) fn multiply_generator<C: CurveArithmetic>(
    curve: EccCurve,
    scalar: &Scalar<C>,
) -> Projective<C> {
    let sums = table(curve).and_then(|table| read_table::<C>(curve, table));
    let Some(sums) = sums else { return Projective::<C>::mul_by_generator(scalar) };
    let bytes = Zeroizing::new(scalar.to_repr());
    let columns = usize::from(curve.bits()).div_ceil(ROWS);
    let mut result = Zeroizing::new(Projective::<C>::identity());
    for column in (0..columns).rev() {
        let rows = (0..ROWS).rev().map(|row| columns.saturating_mul(row).saturating_add(column));
        let index = rows.fold(0, |index, place| index << 1 | bit(&bytes, place));
        let mut addend = Zeroizing::new(C::AffinePoint::default());
        for (number, sum) in (0_u8..).zip(&sums) {
            addend.conditional_assign(sum, number.ct_eq(&index));
        }
        *result = add::<C>(&result.double(), &addend);
    }
    *result
}

#[expect(clippy::arithmetic_side_effects, reason = "points of a group do not overflow")]
fn add<C: CurveArithmetic>(point: &Projective<C>, addend: &C::AffinePoint) -> Projective<C> {
    *point + *addend
}

/// The bit with this place of a big-endian number.
fn bit(bytes: &[u8], place: usize) -> u8 {
    let byte = bytes.iter().rev().nth(place / 8).copied().unwrap_or_default();
    byte.checked_shr(u32::try_from(place % 8).unwrap_or_default()).unwrap_or_default() & 1
}

/// The sums of rows of a table, in the order of the bits of a column.
fn read_table<C: CurveArithmetic>(curve: EccCurve, table: &[u8]) -> Option<[C::AffinePoint; SUMS]> {
    let mut sums = [C::AffinePoint::default(); SUMS];
    let size = curve.size();
    let places = sums.iter_mut().skip(1);
    for (place, point) in places.zip(table.chunks(size.saturating_mul(2))) {
        let (x, y) = point.split_at_checked(size)?;
        let (x, y) = (FieldBytes::<C>::try_from(x).ok()?, FieldBytes::<C>::try_from(y).ok()?);
        *place = Option::from(C::AffinePoint::from_coordinates(&x, &y))?;
    }
    Some(sums)
}

/// The points Σ 2^(row · columns) · G over the rows of each number from 1 to 15: x and y.
const fn table(curve: EccCurve) -> Option<&'static [u8]> {
    match curve {
        EccCurve::NistP256 => Some(P256),
        EccCurve::NistP384 => Some(P384),
        EccCurve::NistP521 | EccCurve::Sm2P256 => None,
    }
}

/// P-256: columns are 64 bits apart.
const P256: &[u8] = hex!(
    b"6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a\
      7c0f9e162bce33576b315ececbb6406837bf51f50fa822bc2811aaa58492592e326e25de29493baaad651f7e\
      90e75cb48e14db63bff44ae8f5dba80d6f4ad4bcb3df188b34b1a65050fe82f5e41124545f462ee7300a4bbc\
      89d6726fb257c0de95e02789e96c98fd0d35f1fa93391ce2097992af72aac7e0d09b46447f1ddb25ff1e3c6f\
      5bb1eeada9d806a5aa54a291c08127a0447d739beedb5e67fb982fd588c6766efc35ff7dc297eac357c84fc9\
      d789bd852d4825ab834131eee12e9d953a4aaff73d349b95a7fae5000c7e33c972e25b32ef9519328a9c72ff\
      ddc6068bb91dfc60ef7fbd2b1a0a11b713949c932a1d367f611e9fc37dbb2c9bc1ee9807022c219c23183b08\
      95ca1740196035a77376d8a8550663797b51f5d87dea6482e11238bf2936df5ec6c9bc36cae2b1920b57f4bc\
      157164848aecb8510afa40018d9d50e59fb3d576dbdefbe144ffe216348a964ceb5d7745b21141eaa2e8f483\
      f43e43917ccd84e70d715f26e48ecafffc5cde01eafd72ebdbecc17b0990e6a158006cee85f22cfe2844b645\
      cac917e2731a3479a6d39677a78492762736ff8344315fc596439591a3c6b94a6cf20ffb313728be674f8474\
      9b0b881666b8babd2d27ecdf824a920c2284059bf2bab833c357f5f44e769e7672c9ddad31855f7db8c7fedb\
      74e02f080203a56b2df48c04677c8a3e42b99082de8306631ec0057206947281fb9ae16f3b9122a5a4c36165\
      b824bbb078878ef61c6ce04d7fdc1ca008a1c478d1f89e799c0ce1316ef95150dda868b9b6cb3f5d7b72c321\
      de53142c12309def6ace570ebde08d4f9c62b9121fe0d9760c88bc4d716b1287595c5220812ffcae5b82dd5b\
      d54fb4967f991ed2c31a3573dd5ddea3f3901dc618d1b5b39c04e6aa7c8181f4df2564f33a57bf635f48aca8\
      68f344af6b317466efe0a423083e49f343a0a28c42ba792fe96a79fb3e72ad0c31b9c405f8540a20604ed93c\
      24d67ff3668bfc2271f5c626cdfe17db3fb24d4a4052bf4b6f461db9663c62c3edbad7a00d1a10144ec39c28\
      d36b4789a2582e7ffecf4d5190b0fc61862be6bd71d70cc8e724f33999bfcc5b235a27c3188d25eb1eddbae2\
      c802e41a123202a8f62bff7aafdf5cc08526a7a474346c10a1d4cfac43104d86560ebcfc0c45f45273db33a0\
      36e06b7e4c7019178fa0af2dd603f844b48e26b484f7a21c0a4a46fb6aaf363a66b0de3225c4744b9615b511\
      0d1d78e5fac015404d4d3dab64131bcdfed6f668c004e4048b7b0f9806ebb0f621a01b2d",
);

/// P-384: columns are 96 bits apart.
const P384: &[u8] = hex!(
    b"aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e38\
      72760ab73617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d\
      7a431d7c90ea0e5ff532389a060cbd1bd6e98b0d37ca7abc4360390918141b1a4b58808b3f8686a92c3e0c91\
      558717db39c1b328d8ee21c9b9d2852cc3b38e696f04caa2de3a82babd22cfb2a2124163bc40ce5abe643603\
      31ea31b1085a4e9a7a7e183923d86ecd528ef1670a5f2cabc3decd0c86f06145bbbc4fd017a31b22da9d5483\
      5faefa4ff8f4be1132cdf03c264e5246eb09a0e57b9b1fbe7bccf56c5803eaa11a1dcf14f8b76fdd631d058d\
      bd60cab4c87fed22550538a809cb75248a1e9858c14f0dd6c19e0b4c800119c440f7f9e706421279b42a31af\
      8a3e297ddb2987894d10ddeaba065458a4f52d78a628b09aaa03bd5316f3fdbf0356b301e5a0191d1f5b77f6\
      577a30eae3567af9c1c7cad135f6ebf2af68aa6de639d858822d0fc5e6c88c41aab8bb9f0fdc3088567a6233\
      cd6ce3a39bb183b270b375ddd37de424b860fae69097dbb1c6cb001730991560aa13390948942f81314f6d28\
      f0af01d1282050b5f6005fc815eb04ac6d955bb3c9747bf3ebdf73f2d62faa4416c5b981600ad5a67334a936\
      a9a6a0527022f802cb367444ce0fba3077c0f03f54ba4599567d63422347d2c89ef281c8202211217716605e\
      7ffceff7f632c9261f7c5c367cbd4ccd8e5d9b897d0e017a9e2eee8f697a92800a64d519c2bd0efab5461f68\
      d658a01adc916c17960e090efafce26e0381ef13bf88de7f4862b95425651d105052dd32451c707a371a2ca5\
      300ae2e60e758344266e8a40d69eca0ab3d92ea4701c295252d154b80ba04a3540896478cc16069795c01ff1\
      9b42441bed17cc44026b0889b2d1055817cbaa12211905035f4972d7097da395a23096863d8b29dbd08848c2\
      f33a450ad156f761e4bfc2c04905ca71354cd872c3c6cbd2237c0dba3cfd056bf82be8f52e6236c09b475d74\
      4ecf1a68e87ab07c6924666fddcebb55753ee32400b19ac8fdfebfec30b0a9e8611ef638103df7855c201558\
      47fc87faf0712210197d6958819cf0438d104d24708d4ceea72f91059ee360311418fe25e9f6edc4cdbb3cd2\
      e754220d68810282636164c5bb7c969c2228ff5fd40e8d6fd201e03e3f9561e08bf0b27e136df36b75203a36\
      17e9411f685e926dc3b6ac4be86c46bd2cc0245197d53ffd64d2c273b769737a0b06f006396295874b1a5a20\
      412ab641cfced6646f52e4cbea0887478554e014c34be586f9867a60dd6ff8d527e990a79fd7b010df0f66d7\
      15274e5b8980f137539f94ad522c2931b83a186188e95532325c51e7785d3ef7044c0dd285651f82321aa9a3\
      b9260225795f6fa3c9739246929226bd149033de0a806b54be8a04e3d44eba4525d7d211e4a7b94a4064e4c0\
      36a543eea87a68f72caebbd316ee3e13ebd1cff84c6a99642e4c29567d49c7802901b5191d92898349bcc2f5\
      8b707b8ef277bacda50ee41cd349ab0378a6784758eaff048fbd85d191235072d4b3394d1510e7d43ef2267e\
      75b41c29b569946d026e0dc2e8cb7aebe2b067caa08b6a513afcbd796d01a5a8ebb31209dc7c421de92cdc5a\
      b483283d10b056585f863bbdae8866bad8ef24e14be256378c7461a5d68d1ffc1f3443d817ea270110781e45\
      64c15facd8c6cf36d8c3502902dde18ab03dfa54c52afa2d14dafc3981a73dc7df459ea1c42bf748ef98fdde\
      8fd8d8171a29f8ef6c8f83d3ac3a78d0d265a91c2ce2885a0e6d85f2aafd1fcfce6d908af5f8a2d18accf229\
      ef5d900678f602ddcd120b2b41fd72cacc406f6e6c0d2ce71264cb335766c96a59cfca7155977d234bc2fdcf\
      f983ac6ca8206169c48b5ab0c8c12e757ffcd01e89109a0ec62666de119ebeeea1a1a376d94ad8fac53b4f69\
      b66717a065a5f248cbf7190cffb1975831d28707e4483ec56b6913812e014b4b",
);

#[cfg(test)]
mod tests {
    extern crate std;
    use super::super::arithmetic::{scalar, with_curve};
    use super::super::parameter::EccParameter;
    use super::*;
    use crate::crypto::drbg::CtrDrbg;
    use crate::crypto::ecc::generate;

    /// The product as the curve's crate computes it for any point.
    fn known<C: CurveArithmetic>(scalar: &Scalar<C>) -> Projective<C> {
        Projective::<C>::generator() * scalar
    }

    #[test]
    fn tables_are_sums_of_rows() {
        for curve in [EccCurve::NistP256, EccCurve::NistP384] {
            let columns = usize::from(curve.bits()) / ROWS;
            with_curve!(curve, C => {
                let sums = read_table::<C>(curve, table(curve).unwrap()).unwrap();
                for (number, sum) in sums.iter().enumerate().skip(1) {
                    let mut bytes = std::vec![0; curve.size()];
                    for row in (0..ROWS).filter(|row| number >> row & 1 == 1) {
                        let place = row * columns;
                        bytes[curve.size() - 1 - place / 8] |= 1 << (place % 8);
                    }
                    let factor = scalar::<C>(&EccParameter::new(curve, &bytes).unwrap()).unwrap();
                    assert_eq!(Projective::<C>::from(*sum), known::<C>(&factor), "{number}");
                }
            });
        }
    }

    #[test]
    fn products_are_those_of_the_general_method() {
        let mut drbg = CtrDrbg::from_seed(&[4; 48]);
        for curve in EccCurve::ALL {
            let mut factors: std::vec::Vec<_> =
                (0..20).map(|_| generate(curve, &mut drbg).unwrap().private).collect();
            // The ends of the range, and a bit in every place.
            let mut last = EccParameter::new(curve, curve.parameters().n).unwrap();
            *last.as_mut_bytes().last_mut().unwrap() -= 1;
            factors.push(last);
            for place in 0..usize::from(curve.bits()) - 1 {
                let mut power = EccParameter::zero(curve);
                let size = curve.size();
                power.as_mut_bytes()[size - 1 - place / 8] = 1 << (place % 8);
                factors.push(power);
            }
            with_curve!(curve, C => {
                for factor in &factors {
                    let factor = scalar::<C>(factor).unwrap();
                    assert_eq!(multiply_generator::<C>(curve, &factor), known::<C>(&factor));
                }
                let zero = Scalar::<C>::default();
                assert_eq!(multiply_generator::<C>(curve, &zero), Projective::<C>::identity());
            });
        }
    }
}
