//! The scheduler: threads whose lateness the network would see.

use std::io;

/// Which of two realtime threads runs first.
#[derive(Clone, Copy, Debug)]
pub enum Priority {
    /// After all others.
    Lowest = 1,
    /// Before [`Lowest`](Self::Lowest).
    Next,
}

/// From now on the calling thread runs before every thread of the machine that is not realtime, whatever share of the
/// processor its control group has (`SCHED_RR`). For threads that work briefly and then sleep; the kernel
/// keeps a twentieth of each second for the others (`kernel.sched_rt_runtime_us`). Threads that it starts inherit this.
///
/// # Errors
/// `EPERM` without CAP_SYS_NICE or a limit on realtime priority (`RLIMIT_RTPRIO`) that is no lower.
pub fn enter(priority: Priority) -> io::Result<()> {
    // SAFETY: zeros are a valid value of this structure of numbers.
    let mut parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    parameters.sched_priority = priority as i32;
    // SAFETY: the thread is the calling one, so it lives; the parameters outlive the call.
    let error =
        unsafe { libc::pthread_setschedparam(libc::pthread_self(), libc::SCHED_RR, &raw const parameters) };
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}
