// SPDX-License-Identifier: MIT OR Apache-2.0
//! A clock for measurements on a machine that does other things too.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Time that this thread was on a processor; the wall's says more about other programs.
pub(crate) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.expect("no negative time"), nanoseconds.expect("less than a second"))
}
