//! Commands of the user, each in a group of processes of its own, so that all of it can be ended.

use std::process::{Child, Command};

/// `command` for the system's shell, in a group of its own: what the shell starts ends with it, and Ctrl-C reaches it
/// through us alone.
#[cfg(unix)]
pub fn shell(command: &str) -> Command {
    use std::os::unix::process::CommandExt;
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(command).process_group(0);
    shell
}

/// `command` for the system's shell.
#[cfg(not(unix))]
pub fn shell(command: &str) -> Command {
    let mut shell = Command::new("cmd");
    shell.arg("/C").arg(command);
    shell
}

/// Ends what [`shell`] started and everything that it started, and waits for it. It may have ended by itself, but must
/// not have been waited for.
pub fn end(child: &mut Child) {
    end_group(child);
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(unix)]
#[expect(unsafe_code, reason = "the standard library signals single processes only")]
fn end_group(child: &Child) {
    let Ok(group) = libc::pid_t::try_from(child.id()) else { return };
    // SAFETY: `kill` takes two integers and touches no memory of ours; the group is the child's own, since it was made its
    // leader when it was started and has not been waited for, so that its number belongs to nobody else.
    unsafe {
        libc::kill(-group, libc::SIGKILL);
    }
}

#[cfg(not(unix))]
fn end_group(_: &Child) {}
