//! How many processors are useful: the CPUs this process may run on, and what its cgroup lets it use of them.

use std::fs;
use std::path::{Path, PathBuf};

/// GOMAXPROCS at the start, and whether the user has fixed it.
pub(crate) fn initial_procs() -> (usize, bool) {
    match std::env::var("GOMAXPROCS").ok().as_deref().and_then(positive) {
        Some(n) => (n, true),
        None => (useful(), false),
    }
}

/// A positive decimal number; anything else is no number, as in Go.
fn positive(text: &str) -> Option<usize> {
    text.parse::<u32>().ok().filter(|&n| n > 0).map(|n| n as usize)
}

/// CPUs in this process's affinity mask.
pub fn num_cpu() -> usize {
    rustix::thread::sched_getaffinity(None).map_or(1, |set| (set.count() as usize).max(1))
}

/// min(CPUs, max(2, quota rounded up)): with less than two, one goroutine that computes would stall all others.
pub(crate) fn useful() -> usize {
    let cpus = num_cpu();
    match quota() {
        Some(quota) => cpus.min((quota.ceil() as usize).max(2)),
        None => cpus,
    }
}

/// The CPU quota of this process's own cgroup, in CPUs. A v1 cpu controller wins over v2 on systems that have both.
fn quota() -> Option<f64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    match find(&groups, &mounts)? {
        Found::V1(dir) => {
            let quota: f64 = read_number(&dir.join("cpu.cfs_quota_us"))?;
            let period: f64 = read_number(&dir.join("cpu.cfs_period_us"))?;
            (quota > 0.0 && period > 0.0).then(|| quota / period)
        }
        Found::V2(dir) => parse_cpu_max(&fs::read_to_string(dir.join("cpu.max")).ok()?),
    }
}

fn read_number(path: &Path) -> Option<f64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// `max 100000` is no limit; `150000 100000` is one and a half CPUs.
fn parse_cpu_max(text: &str) -> Option<f64> {
    let mut words = text.split_whitespace();
    let quota: f64 = words.next()?.parse().ok()?;
    let period: f64 = words.next().map_or(Ok(100_000.0), str::parse).ok()?;
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

#[derive(Debug, PartialEq)]
enum Found {
    V1(PathBuf),
    V2(PathBuf),
}

/// The directory of this process's cpu controller, from the texts of `/proc/self/cgroup` and `/proc/self/mountinfo`.
fn find(groups: &str, mounts: &str) -> Option<Found> {
    let mut v2 = None;
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':');
        let (id, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        if controllers.split(',').any(|name| name == "cpu") {
            let is_v1 =
                |kind: &str, options: &str| kind == "cgroup" && options.split(',').any(|name| name == "cpu");
            return mounted(mounts, path, is_v1).map(Found::V1);
        }
        if id == "0" && controllers.is_empty() {
            v2 = Some(path);
        }
    }
    mounted(mounts, v2?, |kind, _| kind == "cgroup2").map(Found::V2)
}

/// Where `path` of a cgroup hierarchy is in the file system.
fn mounted(mounts: &str, path: &str, wanted: impl Fn(&str, &str) -> bool) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        // 36 35 98:0 /root /mount/point options - kind source super-options
        let (mount, kind) = line.split_once(" - ")?;
        let mut kind = kind.split(' ');
        let (kind, _source, options) = (kind.next()?, kind.next()?, kind.next()?);
        if !wanted(kind, options) {
            return None;
        }
        let mut mount = mount.split(' ').skip(3);
        let (root, point) = (mount.next()?, mount.next()?);
        let below = path.strip_prefix(root.trim_end_matches('/'))?;
        Some(Path::new(point).join(below.trim_start_matches('/')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gomaxprocs_is_a_positive_number_or_ignored() {
        assert_eq!(positive("4"), Some(4));
        for bad in ["abc", "0", "-1", "", "4 ", "1e3", "99999999999"] {
            assert_eq!(positive(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn cpu_max_is_parsed() {
        assert_eq!(parse_cpu_max("max 100000\n"), None);
        assert_eq!(parse_cpu_max("150000 100000\n"), Some(1.5));
        assert_eq!(parse_cpu_max("50000"), Some(0.5));
        assert_eq!(parse_cpu_max(""), None);
        assert_eq!(parse_cpu_max("-1 100000"), None);
    }

    #[test]
    fn cgroups_are_found_in_both_versions() {
        let mounts = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n\
                      31 23 0:27 /docker/x /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n";
        assert_eq!(find("0::/a/b\n", mounts), Some(Found::V2("/sys/fs/cgroup/a/b".into())));
        let hybrid = "4:cpu,cpuacct:/docker/x/job\n0::/a/b\n";
        assert_eq!(find(hybrid, mounts), Some(Found::V1("/sys/fs/cgroup/cpu/job".into())));
        assert_eq!(find("0::/a\n", "1 2 0:1 / / rw - ext4 /dev/vda rw\n"), None);
        assert_eq!(find("", mounts), None);
    }

    #[test]
    fn there_is_at_least_one_cpu() {
        assert!(num_cpu() >= 1 && useful() >= 1);
    }
}
