// SPDX-License-Identifier: MIT OR Apache-2.0
//! Asymmetric primitives (Part 3, 14): RSA encryption, agreements and encryption over
//! elliptic curves.

pub mod ecc_decrypt;
pub mod ecc_encrypt;
pub mod ecc_parameters;
pub mod ecdh_key_gen;
pub mod ecdh_z_gen;
pub(in crate::command) mod point;
pub mod rsa_decrypt;
pub mod rsa_encrypt;
mod rsa_padding;
pub mod z_gen_2_phase;
