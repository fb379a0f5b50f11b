//! Which CPUs this process may use, in which order threads take them, and pinning. Where the system has no such
//! interface, threads are left where it puts them.

#[cfg(target_os = "linux")]
pub(super) use linux::{Mask, pin, restore};
#[cfg(not(target_os = "linux"))]
pub(super) use other::{Mask, pin, restore};

use std::cmp::Reverse;
use std::path::Path;
use std::sync::OnceLock;

/// The CPUs this process was allowed on when first asked, before any thread was pinned; ascending.
pub fn allowed_cpus() -> &'static [usize] {
    static ALLOWED: OnceLock<Vec<usize>> = OnceLock::new();
    ALLOWED.get_or_init(|| {
        #[cfg(target_os = "linux")]
        let found = linux::current_cpus();
        #[cfg(not(target_os = "linux"))]
        let found = Vec::new();
        if found.is_empty() {
            (0..std::thread::available_parallelism().map_or(1, usize::from)).collect()
        } else {
            found
        }
    })
}

/// Which thread of its core a CPU is, then how fast it is, fastest first.
type Rank = (usize, Reverse<(u64, u64)>);

/// The allowed CPUs in the order in which workers take them: the CPU the caller runs on first where it is among the
/// best, so that pools of several callers spread; then the fastest cores, distinct cores before their second thread.
pub(super) fn placement() -> Vec<usize> {
    static RANKED: OnceLock<Vec<(Rank, usize)>> = OnceLock::new();
    let ranked = RANKED.get_or_init(|| {
        let rank = |&cpu: &usize| ((sibling_rank(cpu), Reverse(speed(cpu))), cpu);
        let mut ranked: Vec<_> = allowed_cpus().iter().map(rank).collect();
        ranked.sort_unstable();
        ranked
    });
    let mut order: Vec<usize> = ranked.iter().map(|&(_, cpu)| cpu).collect();
    #[cfg(target_os = "linux")]
    if let Some(here) = linux::current_cpu()
        && let Some(position) = ranked.iter().position(|&(_, cpu)| cpu == here)
        && ranked[position].0 == ranked[0].0
    {
        order[..=position].rotate_right(1);
    }
    order
}

/// Position of a CPU among the hardware threads of its core: 0 for the first.
fn sibling_rank(cpu: usize) -> usize {
    let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
    let Ok(list) = std::fs::read_to_string(path) else { return 0 };
    cpu_list(&list).iter().filter(|&&other| other < cpu && allowed_cpus().contains(&other)).count()
}

/// A core's speed in a unit of the system's: the scheduler's figure and the highest clock; 0 each where it names none.
fn speed(cpu: usize) -> (u64, u64) {
    speed_below(Path::new("/sys/devices/system/cpu"), cpu)
}

fn speed_below(root: &Path, cpu: usize) -> (u64, u64) {
    let number = |file: &str| {
        let text = std::fs::read_to_string(root.join(format!("cpu{cpu}")).join(file)).ok()?;
        text.trim().parse().ok()
    };
    (number("cpu_capacity").unwrap_or(0), number("cpufreq/cpuinfo_max_freq").unwrap_or(0))
}

/// Whether some of these CPUs are of another kind than others: a part apart by either figure of their speed. Cores of one
/// kind differ by a few percent where a maker names the best of them.
pub(super) fn unequal<'a>(cpus: impl Iterator<Item = &'a usize>) -> bool {
    apart(cpus.map(|&cpu| speed(cpu)))
}

fn apart(speeds: impl Iterator<Item = (u64, u64)>) -> bool {
    /// Of the fastest core's speed: what is below is another kind.
    const KIND: f64 = 0.9;
    let speeds: Vec<(u64, u64)> = speeds.collect();
    let differ = |of: fn(&(u64, u64)) -> u64| {
        let named = || speeds.iter().map(of).filter(|&speed| speed > 0);
        named().min().zip(named().max()).is_some_and(|(least, most)| (least as f64) < KIND * most as f64)
    };
    differ(|speed| speed.0) || differ(|speed| speed.1)
}

/// `0-2,5` as numbers; parts that are none are left out.
fn cpu_list(text: &str) -> Vec<usize> {
    let mut cpus = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse(), last.parse::<usize>()) {
            cpus.extend(first..=last);
        }
    }
    cpus
}

#[cfg(target_os = "linux")]
mod linux {
    //! `sched_setaffinity` and its kin, on the calling thread.

    /// A thread's allowed CPUs.
    pub(in crate::pool) struct Mask(libc::cpu_set_t);

    fn current() -> Option<libc::cpu_set_t> {
        // SAFETY: a `cpu_set_t` is an array of integers, for which zero is a value.
        let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to a set of exactly the size given; 0 names the calling thread.
        let answer = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) };
        (answer == 0).then_some(set)
    }

    pub(super) fn current_cpus() -> Vec<usize> {
        let Some(set) = current() else { return Vec::new() };
        // SAFETY: every index is below `CPU_SETSIZE`, the number of bits in the set.
        (0..libc::CPU_SETSIZE as usize).filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) }).collect()
    }

    pub(super) fn current_cpu() -> Option<usize> {
        // SAFETY: no arguments, no effects.
        usize::try_from(unsafe { libc::sched_getcpu() }).ok()
    }

    /// Pins the calling thread; returns what it was allowed before, or nothing where the system refused.
    pub(in crate::pool) fn pin(cpu: usize) -> Option<Mask> {
        let before = current()?;
        if cpu >= libc::CPU_SETSIZE as usize {
            return None;
        }
        // SAFETY: as in `current`.
        let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
        // SAFETY: `cpu` is below `CPU_SETSIZE`.
        unsafe { libc::CPU_SET(cpu, &mut set) };
        set_current(&set).then_some(Mask(before))
    }

    /// Undoes [`pin`] for the calling thread.
    pub(in crate::pool) fn restore(mask: &Mask) {
        set_current(&mask.0);
    }

    fn set_current(set: &libc::cpu_set_t) -> bool {
        // SAFETY: the pointer is to a set of exactly the size given; 0 names the calling thread.
        let answer = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), set) };
        answer == 0
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    //! Systems without thread affinity.

    /// Nothing to remember.
    pub(in crate::pool) struct Mask;

    /// Never pins.
    pub(in crate::pool) fn pin(_cpu: usize) -> Option<Mask> {
        None
    }

    /// Nothing to undo.
    pub(in crate::pool) fn restore(_mask: &Mask) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_ranges_are_read() {
        assert_eq!(cpu_list("0-2,5\n"), [0, 1, 2, 5]);
        assert_eq!(cpu_list("7"), [7]);
        assert_eq!(cpu_list(""), [0; 0]);
    }

    #[test]
    fn cores_of_two_kinds_are_unequal() {
        assert!(!apart([(1024, 0), (1024, 0)].into_iter()));
        assert!(apart([(1024, 0), (446, 0)].into_iter()));
        assert!(!apart([(0, 5_700_000), (0, 5_500_000)].into_iter()), "favoured cores of one kind");
        assert!(apart([(0, 5_700_000), (0, 4_300_000)].into_iter()));
        assert!(!apart([(0, 0), (1024, 0)].into_iter()), "nothing named is nothing known");
        assert!(!apart(std::iter::empty()));
    }

    #[test]
    fn speeds_are_read_from_the_tree_of_the_system() {
        let root = std::env::temp_dir().join(format!("slimfit-affinity-{}", std::process::id()));
        std::fs::create_dir_all(root.join("cpu3/cpufreq")).unwrap();
        std::fs::write(root.join("cpu3/cpu_capacity"), "446\n").unwrap();
        std::fs::write(root.join("cpu3/cpufreq/cpuinfo_max_freq"), "1800000\n").unwrap();
        let found = [speed_below(&root, 3), speed_below(&root, 4)];
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(found, [(446, 1_800_000), (0, 0)]);
    }

    #[test]
    fn placement_is_a_permutation_of_the_allowed_cpus() {
        let mut order = placement();
        order.sort_unstable();
        assert_eq!(order, allowed_cpus());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn pinning_holds_until_restored_and_leaves_the_allowed_list_alone() {
        let allowed = allowed_cpus().to_vec();
        let before = pin(allowed[0]).expect("pinning to an allowed processor");
        assert_eq!(linux::current_cpus(), [allowed[0]]);
        assert_eq!(allowed_cpus(), allowed);
        restore(&before);
        assert_eq!(linux::current_cpus(), allowed);
    }
}
