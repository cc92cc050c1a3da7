// SPDX-License-Identifier: MIT OR Apache-2.0
//! Declares the two kinds of small wire types: enumerations and bit fields.

/// An enumeration with a wire width and the response code for any other value.
macro_rules! wire_enum {
    ($(#[$meta:meta])* $name:ident: $width:ty, else $error:ident {
        $($(#[$doc:meta])* $variant:ident = $value:expr,)+
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// All values, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The value on the wire.
            pub const fn raw(self) -> $width {
                match self { $(Self::$variant => $value,)+ }
            }

            /// The value that is `raw` on the wire.
            pub fn from_raw(raw: $width) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.raw() == raw)
            }
        }

        impl $crate::wire::Unmarshal for $name {
            fn unmarshal(reader: &mut $crate::wire::Reader<'_>) -> $crate::wire::Result<Self> {
                Self::from_raw(reader.value()?)
                    .ok_or($crate::structure::response_code::ResponseCode::$error)
            }
        }

        impl $crate::wire::Marshal for $name {
            fn marshal(
                &self,
                writer: &mut $crate::wire::Writer<'_>,
            ) -> $crate::wire::Result<()> {
                writer.value(&self.raw())
            }
        }
    };
}

/// A bit field (TPMA_*): reserved bits that are set are TPM_RC_RESERVED_BITS.
macro_rules! wire_bits {
    ($(#[$meta:meta])* $name:ident: $width:ty {
        $($(#[$doc:meta])* $bit:ident = $value:expr,)+
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name($width);

        impl $name {
            $($(#[$doc])* pub const $bit: Self = Self($value);)+

            /// The bits that have a meaning.
            pub const DEFINED: $width = 0 $(| $value)+;

            /// No bit set.
            pub const fn empty() -> Self {
                Self(0)
            }

            /// The value on the wire.
            pub const fn raw(self) -> $width {
                self.0
            }

            /// The value from the wire; `None` when a reserved bit is set.
            pub const fn from_raw(raw: $width) -> Option<Self> {
                if raw & !Self::DEFINED == 0 { Some(Self(raw)) } else { None }
            }

            /// Whether all bits of `other` are set.
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// Whether a bit of `other` is set.
            pub const fn intersects(self, other: Self) -> bool {
                self.0 & other.0 != 0
            }

            /// These bits and those of `other`.
            #[must_use]
            pub const fn with(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// These bits but not those of `other`.
            #[must_use]
            pub const fn without(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }

            /// These bits, with those of `other` set or cleared.
            #[must_use]
            pub const fn with_if(self, condition: bool, other: Self) -> Self {
                if condition { self.with(other) } else { self.without(other) }
            }
        }

        impl $crate::wire::Unmarshal for $name {
            fn unmarshal(reader: &mut $crate::wire::Reader<'_>) -> $crate::wire::Result<Self> {
                Self::from_raw(reader.value()?)
                    .ok_or($crate::structure::response_code::ResponseCode::RESERVED_BITS)
            }
        }

        impl $crate::wire::Marshal for $name {
            fn marshal(
                &self,
                writer: &mut $crate::wire::Writer<'_>,
            ) -> $crate::wire::Result<()> {
                writer.value(&self.0)
            }
        }
    };
}

pub(crate) use {wire_bits, wire_enum};
