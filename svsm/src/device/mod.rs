// SPDX-License-Identifier: MIT OR Apache-2.0
//! Devices, all of them the host's: what they answer is checked before it is used.

#[cfg(feature = "bare-metal")]
pub mod console;
pub mod fw_cfg;
#[cfg(feature = "bare-metal")]
pub mod fw_cfg_dma;
#[cfg(all(feature = "bare-metal", feature = "block-device"))]
pub mod host_registers;
#[cfg(feature = "bare-metal")]
pub mod interval_timer;
#[cfg(feature = "block-device")]
pub mod virtio;
