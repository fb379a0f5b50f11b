//! Topology of imitated systems.

use slimfit_kernels::Isa;
use slimfit_probe::{ProbeError, SystemDescription, SystemTree};
use std::fs;
use std::path::Path;

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path.trim_start_matches('/'));
    fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
    fs::write(path, text).expect("writable");
}

/// Four little and two big Arm cores, as a phone or a board shows them.
fn arm_board(root: &Path) {
    write(
        root,
        "/proc/cpuinfo",
        "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd05\nCPU revision\t: 3\n\nprocessor\t: 4\nCPU part\t: 0xd0b\n",
    );
    write(root, "/proc/meminfo", "MemTotal:        8000000 kB\nMemFree: 1 kB\nMemAvailable:    6000000 kB\n");
    write(root, "/proc/device-tree/model", "A Board Rev 2\0");
    for processor in 0..6_u32 {
        let folder = format!("/sys/devices/system/cpu/cpu{processor}");
        let big = processor >= 4;
        write(root, &format!("{folder}/cpu_capacity"), if big { "1024\n" } else { "400\n" });
        write(
            root,
            &format!("{folder}/cpufreq/cpuinfo_max_freq"),
            if big { "2400000\n" } else { "1800000\n" },
        );
        write(root, &format!("{folder}/topology/thread_siblings_list"), &format!("{processor}\n"));
        for (index, level, kind, size, shared) in [
            (0, 1, "Instruction", "64K", processor.to_string()),
            (1, 1, "Data", if big { "64K" } else { "32K" }, processor.to_string()),
            (
                2,
                2,
                "Unified",
                if big { "512K" } else { "128K" },
                if big { "4-5".to_owned() } else { "0-3".to_owned() },
            ),
            (3, 3, "Unified", "3M", "0-5".to_owned()),
        ] {
            let cache = format!("{folder}/cache/index{index}");
            write(root, &format!("{cache}/level"), &level.to_string());
            write(root, &format!("{cache}/type"), kind);
            write(root, &format!("{cache}/size"), size);
            write(root, &format!("{cache}/shared_cpu_list"), &shared);
        }
    }
    write(root, "/sys/devices/system/node/node0/cpulist", "0-5");
}

#[test]
fn a_board_with_two_clusters() {
    let root = tempfile::tempdir().unwrap();
    arm_board(root.path());
    let system = SystemDescription::read(&SystemTree::below(root.path()), &[0, 1, 2, 3, 4, 5]).unwrap();
    let topology = &system.topology;
    assert_eq!((topology.cores, topology.threads, topology.numa_nodes), (6, 6, 1));
    let clusters: Vec<&[u32]> =
        topology.clusters.iter().map(|cluster| cluster.processors.as_slice()).collect();
    assert_eq!(clusters, [&[4, 5][..], &[0, 1, 2, 3]], "fastest first");
    assert_eq!(topology.clusters[0].maximum_hz, Some(2_400_000_000));
    let caches: Vec<(u32, u64, u32)> =
        topology.caches.iter().map(|cache| (cache.level, cache.bytes, cache.shared_by)).collect();
    assert_eq!(
        caches,
        [(1, 64 << 10, 1), (2, 512 << 10, 2), (3, 3 << 20, 6)],
        "the fastest core's, no instructions"
    );
    assert_eq!(topology.memory_limit_bytes, 8_000_000 * 1024);
    assert_eq!(topology.hypervisor, None);
    let identity = &system.identity;
    assert_eq!((identity.vendor.as_str(), identity.family, identity.model), ("ARM", 0x41, 0xd05));
    assert_eq!((identity.name.as_str(), identity.device_class.as_str()), ("A Board Rev 2", "board"));
    assert!(topology.sources.iter().any(|source| source.field == "caches" && source.from.contains("cpu4")));
    let fingerprint = system.fingerprint(Isa::Portable);
    assert_eq!(fingerprint.isa, ["scalar", "portable"]);
    assert_eq!(fingerprint.caches, [64 << 10, 512 << 10, 3 << 20]);
}

#[test]
fn threads_of_one_core_and_an_affinity() {
    let root = tempfile::tempdir().unwrap();
    arm_board(root.path());
    for processor in 0..4_u32 {
        let path = format!("/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list");
        write(root.path(), &path, if processor % 2 == 0 { "0,2" } else { "1,3" });
    }
    let tree = SystemTree::below(root.path());
    let topology = SystemDescription::read(&tree, &[0, 1, 2, 3]).unwrap().topology;
    assert_eq!((topology.cores, topology.threads, topology.clusters.len()), (2, 4, 1));
    let topology = SystemDescription::read(&tree, &[2]).unwrap().topology;
    assert_eq!((topology.cores, topology.threads), (1, 1));
}

#[test]
fn control_groups_of_both_versions_limit_memory_and_processors() {
    let root = tempfile::tempdir().unwrap();
    arm_board(root.path());
    write(root.path(), "/proc/self/cgroup", "0::/outer/someone\n");
    write(root.path(), "/sys/fs/cgroup/outer/memory.max", "2147483648\n");
    write(root.path(), "/sys/fs/cgroup/outer/someone/memory.max", "max\n");
    write(root.path(), "/sys/fs/cgroup/outer/someone/cpu.max", "150000 100000\n");
    let tree = SystemTree::below(root.path());
    let system = SystemDescription::read(&tree, &[0, 1, 2, 3]).unwrap();
    assert_eq!(system.topology.memory_limit_bytes, 2 << 30);
    assert_eq!(system.usable_threads, 2, "a quota of one and a half processors");
    assert_eq!(
        system.warnings.iter().map(|warning| warning.code.as_str()).collect::<Vec<_>>(),
        ["processor-quota"]
    );
    assert!(
        system.topology.sources.iter().all(|source| !source.from.contains("someone")),
        "no name of a group"
    );

    write(root.path(), "/proc/self/cgroup", "4:memory:/box\n3:cpu,cpuacct:/box\n");
    write(root.path(), "/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    write(root.path(), "/sys/fs/cgroup/memory/box/memory.limit_in_bytes", "1073741824\n");
    write(root.path(), "/sys/fs/cgroup/cpu/box/cpu.cfs_quota_us", "-1\n");
    write(root.path(), "/sys/fs/cgroup/cpu/box/cpu.cfs_period_us", "100000\n");
    let system = SystemDescription::read(&tree, &[0, 1, 2, 3]).unwrap();
    assert_eq!((system.topology.memory_limit_bytes, system.usable_threads), (1 << 30, 4), "-1 is no quota");
}

#[test]
fn a_control_group_names_its_processors_and_each_limit_its_file() {
    let root = tempfile::tempdir().unwrap();
    arm_board(root.path());
    write(root.path(), "/proc/self/cgroup", "0::/box\n");
    write(root.path(), "/sys/fs/cgroup/box/cpuset.cpus.effective", "2-3,5\n");
    write(root.path(), "/sys/fs/cgroup/cpuset.cpus.effective", "0-5\n");
    write(root.path(), "/sys/fs/cgroup/box/cpu.max", "50000 100000\n");
    write(root.path(), "/sys/fs/cgroup/box/memory.max", "1073741824\n");
    let tree = SystemTree::below(root.path());
    let system = SystemDescription::read(&tree, &[0, 1, 2, 3, 4]).unwrap();
    let group = system.topology.control_group.as_ref().unwrap();
    assert_eq!(group.processors.as_deref(), Some(&[2, 3, 5][..]));
    assert_eq!((group.processor_quota, group.memory_bytes), (Some(0.5), Some(1 << 30)));
    assert_eq!(
        (system.topology.threads, system.usable_threads),
        (2, 1),
        "of 0-4 only 2 and 3 are in the group"
    );
    assert_eq!(system.warnings[0].code, "processor-quota");
    for (field, file) in [
        ("control_group.processors", "/sys/fs/cgroup/…/cpuset.cpus.effective"),
        ("control_group.processor_quota", "/sys/fs/cgroup/…/cpu.max"),
        ("control_group.memory_bytes", "/sys/fs/cgroup/…/memory.max"),
    ] {
        let source = system.topology.sources.iter().find(|source| source.field == field).unwrap();
        assert_eq!(source.from, file, "{field}");
    }

    write(root.path(), "/proc/self/cgroup", "7:cpuset:/box\n");
    write(root.path(), "/sys/fs/cgroup/cpuset/box/cpuset.cpus", "1\n");
    let system = SystemDescription::read(&tree, &[0, 1, 2]).unwrap();
    assert_eq!(system.topology.clusters[0].processors, [1], "version 1");
    let elsewhere = SystemDescription::read(&tree, &[4]).unwrap();
    assert_eq!(elsewhere.topology.clusters[0].processors, [4], "the affinity is the stronger witness");

    write(root.path(), "/proc/self/cgroup", "0::/\n");
    write(root.path(), "/sys/devices/system/cpu/online", "0-5\n");
    let free = SystemDescription::read(&tree, &[0]).unwrap().topology;
    assert_eq!(free.control_group, None, "a list of all processors limits nothing");
}

#[test]
fn packages_nodes_and_pages() {
    let root = tempfile::tempdir().unwrap();
    arm_board(root.path());
    for processor in 0..4_u32 {
        let folder = format!("/sys/devices/system/cpu/cpu{processor}/topology");
        write(root.path(), &format!("{folder}/physical_package_id"), &format!("{}\n", processor / 2));
        write(
            root.path(),
            &format!("{folder}/thread_siblings_list"),
            if processor < 2 { "0-1" } else { "2-3" },
        );
    }
    write(root.path(), "/sys/devices/system/node/node0/cpulist", "0-1\n");
    write(
        root.path(),
        "/sys/devices/system/node/node0/meminfo",
        "Node 0 MemTotal:  4000 kB\nNode 0 MemFree: 1 kB\n",
    );
    write(root.path(), "/sys/devices/system/node/node1/cpulist", "2-5\n");
    write(root.path(), "/proc/self/smaps", "0-1 r-xp 0 0 0\nSize: 16 kB\nKernelPageSize:       16 kB\n");
    fs::create_dir_all(root.path().join("sys/kernel/mm/hugepages/hugepages-2048kB")).unwrap();
    fs::create_dir_all(root.path().join("sys/kernel/mm/hugepages/hugepages-32768kB")).unwrap();
    write(root.path(), "/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
    let tree = SystemTree::below(root.path());
    let topology = SystemDescription::read(&tree, &[0, 2, 3]).unwrap().topology;
    assert_eq!((topology.packages, topology.threads_per_core), (Some(2), Some(2)));
    assert_eq!((topology.cores, topology.threads), (2, 3));
    let nodes: Vec<(u32, &[u32], Option<u64>)> =
        topology.nodes.iter().map(|node| (node.node, node.processors.as_slice(), node.bytes)).collect();
    assert_eq!(nodes, [(0, &[0][..], Some(4000 * 1024)), (1, &[2, 3], None)]);
    assert_eq!(topology.numa_nodes, 2);
    assert_eq!((topology.page_bytes, topology.huge_page_bytes), (16 << 10, vec![2 << 20, 32 << 20]));
    assert_eq!(topology.transparent_huge_pages.as_deref(), Some("madvise"));
    for field in
        ["packages", "threads_per_core", "nodes", "page_bytes", "huge_page_bytes", "transparent_huge_pages"]
    {
        assert!(topology.sources.iter().any(|source| source.field == field), "{field} has no source");
    }
}

#[test]
fn what_a_system_does_not_state_is_absent() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "/proc/meminfo", "MemTotal: 1000 kB\n");
    write(root.path(), "/sys/devices/system/cpu/cpu0/topology/physical_package_id", "-1\n");
    let topology = SystemDescription::read(&SystemTree::below(root.path()), &[0]).unwrap().topology;
    assert_eq!((topology.packages, topology.threads_per_core), (None, None));
    assert!(topology.nodes.is_empty() && topology.huge_page_bytes.is_empty());
    assert_eq!((topology.transparent_huge_pages, topology.control_group), (None, None));
    let page = topology.sources.iter().find(|source| source.field == "page_bytes").unwrap();
    assert_eq!(page.from, "not stated: assumed");
}

#[test]
fn an_empty_system_is_refused_and_a_poor_one_is_described() {
    let root = tempfile::tempdir().unwrap();
    let tree = SystemTree::below(root.path());
    assert!(matches!(SystemDescription::read(&tree, &[0]), Err(ProbeError::MemoryUnknown)));
    write(root.path(), "/proc/meminfo", "MemTotal: 1000 kB\n");
    let system = SystemDescription::read(&tree, &[0]).unwrap();
    assert_eq!(system.identity.device_class, "unknown");
    assert_eq!(system.identity.vendor, "unknown");
    assert!(system.topology.caches.is_empty());
    assert!(system.warnings.iter().any(|warning| warning.code == "caches-unknown"));
}

#[test]
fn a_chassis_and_a_hypervisor_decide_the_class() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "/proc/meminfo", "MemTotal: 1000 kB\n");
    write(
        root.path(),
        "/proc/cpuinfo",
        "vendor_id : GenuineIntel\ncpu family : 6\nmodel : 140\nmodel name : A CPU\n",
    );
    write(root.path(), "/sys/class/dmi/id/chassis_type", "10\n");
    let tree = SystemTree::below(root.path());
    let identity = SystemDescription::read(&tree, &[0]).unwrap().identity;
    assert_eq!((identity.name.as_str(), identity.device_class.as_str()), ("A CPU", "laptop"));
    assert_eq!((identity.family, identity.model), (6, 140));
    write(root.path(), "/sys/class/dmi/id/chassis_type", "1\n");
    write(root.path(), "/sys/hypervisor/type", "xen\n");
    let identity = SystemDescription::read(&tree, &[0]).unwrap().identity;
    assert_eq!((identity.hypervisor.as_deref(), identity.device_class.as_str()), (Some("xen"), "server"));
}
