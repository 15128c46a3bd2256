//! All that a child starts: its process group, and what left the group and lost its parent.

use std::{
    collections::BTreeSet,
    io,
    sync::{Mutex, PoisonError},
};

use rustix::{
    io::Errno,
    process::{
        Pid, Signal, WaitId, WaitIdOptions, WaitOptions, getpgid, getpgrp, kill_process,
        kill_process_group, waitid, waitpid,
    },
};
use tokio::process::{Child, Command};

/// The groups that run now.
static LIVE: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// How often to look again: a process that is ended leaves its own children behind in turn.
const ROUNDS: usize = 10;

/// The process group that a child leads. When this is dropped, everything in it is ended.
#[derive(Debug)]
pub(crate) struct Group(Pid);

impl Group {
    /// Starts `command`, which makes its child the leader of its own group.
    pub(crate) fn spawn(command: &mut Command) -> io::Result<(Child, Self)> {
        // Held meanwhile, since a child that is not on the list looks like one left behind.
        live(|groups| {
            let child = command.spawn()?;
            let pid = child
                .id()
                .and_then(|id| i32::try_from(id).ok())
                .and_then(Pid::from_raw);
            let pid = pid.ok_or_else(|| io::Error::other("the program ended before it began"))?;
            groups.insert(pid.as_raw_pid());
            Ok((child, Self(pid)))
        })
    }

    /// Sends `signal` to every process of the group.
    pub(crate) fn signal(&self, signal: Signal) {
        // Fails only if nothing is left of it.
        let _ = kill_process_group(self.0, signal);
    }

    /// Ends the group and, with the last of the groups that run, what left any of them: until
    /// then nobody can tell whose it is, and it may be of one that still runs.
    pub(crate) fn end(&self) {
        self.signal(Signal::KILL);
        live(|groups| {
            groups.remove(&self.0.as_raw_pid());
            if groups.is_empty() {
                end_orphans();
            }
        });
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if live(|groups| groups.contains(&self.0.as_raw_pid())) {
            self.end();
        }
    }
}

/// Reads or changes the list of groups that run.
fn live<T>(with: impl FnOnce(&mut BTreeSet<i32>) -> T) -> T {
    with(&mut LIVE.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Ends and reaps the children of this process that came to it by losing their parent. Children
/// that other code of this process starts are told apart by their group: unless they ask for
/// another, it is this process's own.
fn end_orphans() {
    if !has_children() {
        return;
    }
    let own = getpgrp();
    for _ in 0..ROUNDS {
        let orphans: Vec<Pid> = children()
            .into_iter()
            .filter(|pid| is_orphan(*pid, own))
            .collect();
        if orphans.is_empty() {
            return;
        }
        for pid in orphans {
            let _ = kill_process(pid, Signal::KILL);
            // One that takes longer to die is reaped in the next round or after the next run.
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
}

/// The usual case after a run is that there are none, and to ask is one system call.
fn has_children() -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::All, look), Err(Errno::CHILD))
}

fn is_orphan(pid: Pid, own: Pid) -> bool {
    getpgid(Some(pid)).is_ok_and(|group| group != own)
}

/// The children of all threads of this process. Empty on a kernel without `CONFIG_PROC_CHILDREN`,
/// where the process group has to do.
fn children() -> Vec<Pid> {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    let lists = threads
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split(' ')
                .filter_map(|pid| Pid::from_raw(pid.parse().ok()?))
                .collect::<Vec<_>>()
        })
        .collect()
}
