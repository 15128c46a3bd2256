//! The CPU time that a function's memory size buys.
//!
//! "At 1,769 MB, a function has the equivalent of one vCPU", in proportion to its memory below and above ("Configure Lambda
//! function memory" in the AWS Lambda Developer Guide). A control group gives a process that much and no more, in turns of
//! 20 ms (an assumption: AWS does not publish its own).

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::{Context as _, anyhow};

/// MiB of memory that have one whole core.
const CORE_MIB: u64 = 1_769;
/// Length of a turn in microseconds.
const PERIOD: u64 = 20_000;
/// The least that the kernel takes as a turn's share, in microseconds.
const MIN_QUOTA: u64 = 1_000;
/// Attempts at removing a group whose last process is about to be gone.
const REMOVALS: u32 = 50;

/// A control group whose processes share the CPU time of a memory size. Dropping it removes the group once its processes have
/// ended.
#[derive(Debug)]
pub struct CpuShare {
    group: PathBuf,
}

/// A version of the kernel's control groups, by the files that set a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

/// A place where groups may be made.
#[derive(Debug, PartialEq, Eq)]
struct Hierarchy {
    version: Version,
    /// The mount point.
    root: PathBuf,
    /// This process's own group, below the mount point.
    own: PathBuf,
}

impl CpuShare {
    /// Creates a group with the share of `memory_mib`. It fails where this system or this user may not limit CPU time.
    pub fn create(memory_mib: u32) -> anyhow::Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let groups = fs::read_to_string("/proc/self/cgroup")?;
        let quota = (u64::from(memory_mib) * PERIOD / CORE_MIB).max(MIN_QUOTA);
        let mut last = anyhow!("no cgroup hierarchy with a cpu controller is mounted");
        for hierarchy in hierarchies(&mounts, &groups) {
            // A group of version 2 with processes of its own may not limit others below it: then one further up does.
            for parent in hierarchy.own.ancestors() {
                let parent = hierarchy.root.join(parent);
                match limited(&parent, hierarchy.version, quota) {
                    Ok(group) => return Ok(Self { group }),
                    Err(error) => {
                        last = anyhow::Error::new(error)
                            .context(format!("could not limit a group in {}", parent.display()));
                    }
                }
            }
        }
        Err(last.context(
            "CPU time cannot be limited here: run as root, or where cgroups are delegated",
        ))
    }

    /// Moves a process into the group; those that it starts later are in it too.
    pub fn add(&self, pid: i32) -> anyhow::Result<()> {
        fs::write(self.group.join("cgroup.procs"), pid.to_string())
            .with_context(|| format!("could not add process {pid} to {}", self.group.display()))
    }

    /// Returns the number of turns in which the group's processes wanted more than their share.
    pub fn throttled(&self) -> anyhow::Result<u64> {
        let file = self.group.join("cpu.stat");
        let text = fs::read_to_string(&file)?;
        let line = text.lines().find_map(|it| it.strip_prefix("nr_throttled "));
        let count = line.with_context(|| format!("{} has no nr_throttled", file.display()))?;
        Ok(count.trim().parse()?)
    }
}

impl Drop for CpuShare {
    fn drop(&mut self) {
        for _ in 0..REMOVALS {
            match fs::remove_dir(&self.group) {
                // Its processes were killed, but the kernel is not done with them yet.
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                    std::thread::sleep(std::time::Duration::from_millis(2));
                }
                _ => return,
            }
        }
    }
}

/// Creates a group in `parent` and sets its limit, or leaves nothing.
fn limited(parent: &Path, version: Version, quota: u64) -> io::Result<PathBuf> {
    static GROUPS: AtomicU64 = AtomicU64::new(0);
    let number = GROUPS.fetch_add(1, Ordering::Relaxed);
    let group = parent.join(format!("larder-{}-{number}", std::process::id()));
    fs::create_dir(&group)?;
    let set = |file: &str, value: String| {
        let file = fs::OpenOptions::new().write(true).open(group.join(file));
        io::Write::write_all(&mut file?, value.as_bytes())
    };
    let limit = match version {
        Version::V1 => set("cpu.cfs_period_us", PERIOD.to_string())
            .and_then(|()| set("cpu.cfs_quota_us", quota.to_string())),
        Version::V2 => set("cpu.max", format!("{quota} {PERIOD}")),
    };
    limit.inspect_err(|_| drop(fs::remove_dir(&group)))?;
    Ok(group)
}

/// Returns the mounted hierarchies that may limit CPU time, version 2 first. `mounts` and `groups` are what `/proc/self/mounts`
/// and `/proc/self/cgroup` say.
fn hierarchies(mounts: &str, groups: &str) -> Vec<Hierarchy> {
    let own = |version: Version| {
        groups.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            let found = match version {
                Version::V1 => controllers.split(',').any(|it| it == "cpu"),
                Version::V2 => controllers.is_empty(),
            };
            found.then(|| PathBuf::from(path.trim_start_matches('/')))
        })
    };
    let mut found: Vec<_> = mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let root = PathBuf::from(fields.next()?);
            let version = match (fields.next()?, fields.next()?) {
                ("cgroup2", _) => Version::V2,
                ("cgroup", options) if options.split(',').any(|it| it == "cpu") => Version::V1,
                _ => return None,
            };
            let own = own(version)?;
            Some(Hierarchy { version, root, own })
        })
        .collect();
    found.sort_by_key(|hierarchy| hierarchy.version == Version::V1);
    found
}

#[cfg(test)]
mod tests {
    use std::{
        process::{Child, Command},
        time::{Duration, Instant},
    };

    use super::*;

    #[test]
    fn hierarchies_of_both_versions_are_found() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw,mode=755 0 0\n\
            cgroup /sys/fs/cgroup/cpuset cgroup rw,relatime,cpuset 0 0\n\
            cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,cpu,cpuacct 0 0\n\
            cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0\n";
        let groups = "4:memory:/else\n2:cpu,cpuacct:/ci/job\n1:cpuset:/\n0::/user.slice/a\n";
        let hierarchy = |version, root: &str, own: &str| Hierarchy {
            version,
            root: root.into(),
            own: own.into(),
        };
        let expected = [
            hierarchy(Version::V2, "/sys/fs/cgroup/unified", "user.slice/a"),
            hierarchy(Version::V1, "/sys/fs/cgroup/cpu,cpuacct", "ci/job"),
        ];
        assert_eq!(hierarchies(mounts, groups), expected);
        assert_eq!(hierarchies("proc /proc proc rw 0 0\n", groups), []);
    }

    /// A process that wants all of a core.
    struct Busy(Child);

    impl Drop for Busy {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// Clock ticks of CPU time, of which there are 100 a second.
    fn ticks(pid: u32) -> u32 {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields = stat.rsplit_once(") ").unwrap().1.split(' ').skip(11);
        fields
            .take(2)
            .map(|field| field.parse::<u32>().unwrap())
            .sum()
    }

    #[test]
    fn process_gets_no_more_than_its_share() {
        let share = match CpuShare::create(128) {
            Ok(share) => share,
            Err(error) => {
                let said = format!("{error:#}");
                assert!(
                    said.contains("run as root, or where cgroups are delegated"),
                    "{said}"
                );
                return;
            }
        };
        let mut busy = Command::new("sh");
        let busy = Busy(busy.args(["-c", "while :; do :; done"]).spawn().unwrap());
        share.add(busy.0.id().try_into().unwrap()).unwrap();
        let (begun, before) = (Instant::now(), ticks(busy.0.id()));
        while share.throttled().unwrap() < 20 {
            assert!(begun.elapsed() < Duration::from_mins(1), "never throttled");
            std::thread::sleep(Duration::from_millis(20));
        }
        let used = f64::from(ticks(busy.0.id()) - before) / 100.0;
        let elapsed = begun.elapsed().as_secs_f64();
        // 128 of 1,769 is 7 %; a tick and a turn more at each end.
        assert!(used <= elapsed * 0.08 + 0.06, "{used} s of {elapsed} s");
        let group = share.group.clone();
        drop(busy);
        drop(share);
        assert!(!group.exists());
    }
}
