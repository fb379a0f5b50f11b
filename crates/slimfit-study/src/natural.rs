//! Natural numbers of any size: points of spaces of 10⁶⁰ are numbered and counted too.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A natural number: big-endian bytes without leading zeros, so that zero has none.
///
/// It is only stored, compared, added and spelt here; whoever computes with larger numbers brings a library and hands over
/// [`bytes`](Self::bytes). In JSON it is a number up to 2⁵³ and a decimal string past that.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Natural(Vec<u8>);

/// A text that is no natural number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no natural number: one or more decimal digits are")]
pub struct NaturalError(String);

impl Natural {
    /// From big-endian bytes; leading zeros are dropped.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
        Self(bytes[start..].to_vec())
    }

    /// Big-endian, without leading zeros.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same as a `u128`, where it fits.
    pub fn to_u128(&self) -> Option<u128> {
        (self.0.len() <= 16).then(|| self.0.iter().fold(0, |value, byte| (value << 8) | u128::from(*byte)))
    }

    /// The nearest `f64`; infinite past its range.
    pub fn to_f64(&self) -> f64 {
        self.0.iter().fold(0.0, |value, byte| 256.0 * value + f64::from(*byte))
    }

    /// Whether it is 0.
    pub fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds `other`.
    pub fn add(&mut self, other: &Self) {
        if let (Some(a), Some(b)) = (self.to_u128(), other.to_u128())
            && let Some(sum) = a.checked_add(b)
        {
            *self = Self::from(sum);
            return;
        }
        let length = self.0.len().max(other.0.len());
        let digit = |number: &Self, place: usize| {
            number.0.len().checked_sub(place + 1).map_or(0, |index| u16::from(number.0[index]))
        };
        let (mut sum, mut carry) = (vec![0_u8; length + 1], 0_u16);
        for place in 0..=length {
            let total = digit(self, place) + digit(other, place) + carry;
            sum[length - place] = (total & 0xff) as u8;
            carry = total >> 8;
        }
        *self = Self::from_bytes(&sum);
    }
}

impl From<u128> for Natural {
    fn from(value: u128) -> Self {
        Self::from_bytes(&value.to_be_bytes())
    }
}

impl From<u64> for Natural {
    fn from(value: u64) -> Self {
        Self::from_bytes(&value.to_be_bytes())
    }
}

impl<'a> std::iter::Sum<&'a Self> for Natural {
    fn sum<I: Iterator<Item = &'a Self>>(numbers: I) -> Self {
        numbers.fold(Self::default(), |mut sum, number| {
            sum.add(number);
            sum
        })
    }
}

impl PartialEq<u64> for Natural {
    fn eq(&self, other: &u64) -> bool {
        self.to_u128() == Some(u128::from(*other))
    }
}

impl Ord for Natural {
    fn cmp(&self, other: &Self) -> Ordering {
        // Without leading zeros the longer one is larger.
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Natural {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Nine decimal digits at a time, so that every step fits `u64`.
const CHUNK: u64 = 1_000_000_000;

impl fmt::Display for Natural {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(value) = self.to_u128() {
            return fmt::Display::fmt(&value, formatter);
        }
        let (mut bytes, mut chunks) = (self.0.clone(), Vec::new());
        while bytes.iter().any(|byte| *byte != 0) {
            let mut rest = 0_u64;
            for byte in &mut bytes {
                let value = (rest << 8) | u64::from(*byte);
                *byte = (value / CHUNK) as u8;
                rest = value % CHUNK;
            }
            chunks.push(rest);
        }
        let mut text = chunks.pop().unwrap_or_default().to_string();
        for chunk in chunks.iter().rev() {
            text.push_str(&format!("{chunk:09}"));
        }
        formatter.pad_integral(true, "", &text)
    }
}

impl FromStr for Natural {
    type Err = NaturalError;

    fn from_str(text: &str) -> Result<Self, NaturalError> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NaturalError(text.to_owned()));
        }
        let mut little: Vec<u8> = Vec::new();
        for digit in text.bytes().map(|byte| u16::from(byte - b'0')) {
            let mut carry = digit;
            for byte in &mut little {
                let value = u16::from(*byte) * 10 + carry;
                *byte = (value & 0xff) as u8;
                carry = value >> 8;
            }
            if carry > 0 {
                little.push(carry as u8);
            }
        }
        little.reverse();
        Ok(Self::from_bytes(&little))
    }
}

/// The largest whole number up to which every reader of JSON keeps all digits.
const EXACT_IN_JSON: u128 = 1 << 53;

impl Serialize for Natural {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.to_u128() {
            Some(value) if value <= EXACT_IN_JSON => serializer.serialize_u64(value as u64),
            _ => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Natural {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(value) => Ok(Self::from(value)),
            Written::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn natural(text: &str) -> Natural {
        text.parse().expect("a number")
    }

    #[test]
    fn decimals_go_there_and_back_at_any_size() {
        let eight = "340282366920938463463374607431768211456";
        for text in ["0", "1", "255", "256", "18446744073709551616", eight, &format!("49{}", "0".repeat(61))]
        {
            assert_eq!(natural(text).to_string(), text);
        }
        assert_eq!(natural(eight).bytes(), [&[1_u8][..], &[0; 16]].concat());
        assert_eq!(natural("000"), Natural::default());
        for text in ["", "-1", "1.0", "0x1", " 1"] {
            assert!(text.parse::<Natural>().is_err(), "`{text}`");
        }
    }

    #[test]
    fn sums_and_order_hold_past_128_bits() {
        let mut sum = Natural::from(u128::MAX);
        sum.add(&Natural::from(1_u64));
        assert_eq!(sum, natural("340282366920938463463374607431768211456"));
        assert_eq!(sum.to_u128(), None);
        sum.add(&sum.clone());
        assert_eq!(sum, natural("680564733841876926926749214863536422912"));
        assert!(natural("256") > natural("255"));
        assert!(natural("680564733841876926926749214863536422912") > Natural::from(u128::MAX));
        for (number, json) in [
            (sum, "\"680564733841876926926749214863536422912\""),
            (Natural::from(1_u64 << 53), "9007199254740992"),
        ] {
            assert_eq!(serde_json::to_string(&number).expect("JSON"), json);
            assert_eq!(serde_json::from_str::<Natural>(json).expect("a number"), number);
        }
        assert!(
            serde_json::from_str::<Natural>("-1").is_err() && serde_json::from_str::<Natural>("1.5").is_err()
        );
        let all = [Natural::from(u128::MAX), Natural::from(2_u64)];
        assert_eq!(all.iter().sum::<Natural>(), natural("340282366920938463463374607431768211457"));
        assert_eq!(natural("1000000000000000000000000000000").to_f64(), 1e30);
    }
}
