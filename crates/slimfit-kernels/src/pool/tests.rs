//! Tests of the pool: every worker runs, barriers order writes, panics come home, oversubscription progresses.

use super::*;
use std::sync::atomic::AtomicUsize;

const SIZES: [usize; 5] = [1, 2, 3, 4, 9];

#[test]
fn every_worker_runs_once_per_run() {
    for threads in SIZES {
        let pool = Pool::new(threads).unwrap();
        assert_eq!(pool.threads(), threads);
        let calls: Vec<AtomicUsize> = (0..threads).map(|_| AtomicUsize::new(0)).collect();
        for _ in 0..2_000 {
            pool.run(|worker| {
                assert_eq!(worker.count, threads);
                calls[worker.index].fetch_add(1, Ordering::Relaxed);
            });
        }
        for (index, count) in calls.iter().enumerate() {
            assert_eq!(count.load(Ordering::Relaxed), 2_000, "worker {index} of {threads}");
        }
    }
}

#[test]
fn barriers_make_earlier_writes_visible() {
    for threads in SIZES {
        let pool = Pool::new(threads).unwrap();
        let steps: Vec<AtomicUsize> = (0..threads).map(|_| AtomicUsize::new(0)).collect();
        for run in 0..20 {
            pool.run(|worker| {
                for step in 1..=50 {
                    // Relaxed: only the barrier orders these.
                    steps[worker.index].store(run * 100 + step, Ordering::Relaxed);
                    worker.barrier();
                    for other in &steps {
                        assert_eq!(other.load(Ordering::Relaxed), run * 100 + step);
                    }
                    worker.barrier();
                }
            });
        }
    }
}

#[test]
fn a_borrowed_buffer_is_filled_by_all() {
    let pool = Pool::new(3).unwrap();
    let cells: Vec<AtomicUsize> = (0..1_001).map(|_| AtomicUsize::new(0)).collect();
    pool.run(|worker| {
        for cell in &cells[worker.share(cells.len(), 16)] {
            cell.fetch_add(1, Ordering::Relaxed);
        }
    });
    assert!(cells.iter().all(|cell| cell.load(Ordering::Relaxed) == 1));
}

#[test]
fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
    for threads in SIZES {
        let pool = Pool::new(threads).unwrap();
        for culprit in 0..threads {
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                pool.run(|worker| {
                    worker.barrier();
                    if worker.index == culprit {
                        resume_unwind(Box::new(culprit));
                    }
                    worker.barrier();
                    worker.barrier();
                });
            }));
            assert_eq!(outcome.unwrap_err().downcast_ref(), Some(&culprit), "{threads} threads");
            let arrived = AtomicUsize::new(0);
            pool.run(|worker| {
                arrived.fetch_add(1, Ordering::Relaxed);
                worker.barrier();
                assert_eq!(arrived.load(Ordering::Relaxed), threads);
            });
        }
    }
}

#[test]
fn parked_workers_wake() {
    let pool = Pool::new(2).unwrap();
    pool.set_patience(Duration::ZERO);
    let calls = AtomicUsize::new(0);
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(1));
        pool.run(|_| {
            calls.fetch_add(1, Ordering::Relaxed);
        });
    }
    assert_eq!(calls.load(Ordering::Relaxed), 40);
}

#[test]
fn no_worker_parks_for_good_as_a_job_is_posted() {
    let pool = Pool::new(2).unwrap();
    pool.set_patience(Duration::ZERO);
    // Pauses that sweep over the time after which a worker parks.
    for round in 0..20_000_u32 {
        for _ in 0..round % 2048 {
            std::hint::spin_loop();
        }
        pool.run(|_| {});
    }
}

#[test]
fn a_run_inside_a_run_is_refused() {
    // A closure cannot borrow the pool (it is not `Sync`), but it can reach it through its thread.
    thread_local!(static POOL: Pool = Pool::new(1).unwrap());
    let outcome = catch_unwind(|| POOL.with(|pool| pool.run(|_| POOL.with(|pool| pool.run(|_| {})))));
    assert!(outcome.is_err());
    POOL.with(|pool| pool.run(|_| {}));
}

#[test]
fn impossible_sizes_are_errors() {
    assert!(matches!(Pool::new(0), Err(PoolError::NoThreads)));
    assert!(matches!(Pool::new(257), Err(PoolError::TooManyThreads { found: 257, allowed: 256 })));
}

#[test]
fn shares_cover_everything_once_in_whole_units() {
    for count in [1, 2, 3, 5] {
        for length in [0, 1, 7, 8, 9, 63, 64, 65, 1_000] {
            for unit in [1, 8, 16] {
                let mut next = 0;
                for index in 0..count {
                    let barrier = Barrier::new(count, 1);
                    let passed = Cell::new(0);
                    let neighbours = &Neighbours::new();
                    let worker = Worker {
                        index,
                        count,
                        barrier: &barrier,
                        barriers_passed: &passed,
                        claims: None,
                        neighbours,
                    };
                    let share = worker.share(length, unit);
                    assert_eq!(share.start, next);
                    assert!(share.end == length || share.end.is_multiple_of(unit));
                    next = share.end;
                }
                assert_eq!(next, length);
            }
        }
    }
}

/// Phases that each fill a row from the whole row before; what a phase writes wrong, the last row shows.
fn rows_of_sums(pool: &Pool, width: usize, each: usize) -> Vec<usize> {
    let rows: Vec<Vec<AtomicUsize>> =
        (0..6).map(|_| (0..width).map(|_| AtomicUsize::new(0)).collect()).collect();
    rows[0].iter().for_each(|cell| cell.store(1, Ordering::Relaxed));
    pool.run_phases(|worker| {
        for (number, pair) in rows.windows(2).enumerate() {
            let pieces = Pieces::falling(worker.count, (number % 4) as u32);
            let mut times = 0;
            worker.phase(if worker.claims() { pieces.count() } else { each }, |piece, again| {
                let (index, of) = if worker.claims() { pieces.share(piece) } else { (piece, worker.count) };
                assert_eq!(again, times > 0);
                times += 1;
                // Relaxed: only the end of the phase before orders these.
                let sum: usize = pair[0].iter().map(|cell| cell.load(Ordering::Relaxed)).sum();
                for cell in &pair[1][width * index / of..width * (index + 1) / of] {
                    cell.fetch_add(sum, Ordering::Relaxed);
                }
            });
        }
    });
    rows[5].iter().map(|cell| cell.load(Ordering::Relaxed)).collect()
}

#[test]
fn phases_are_whole_and_in_order_however_they_are_shared() {
    const WIDTH: usize = 37;
    for threads in SIZES {
        let pool = Pool::new(threads).unwrap();
        for sharing in [Sharing::Equal, Sharing::Claimed, Sharing::Automatic, Sharing::Claimed] {
            pool.set_sharing(sharing);
            for _ in 0..50 {
                let found = rows_of_sums(&pool, WIDTH, threads);
                assert_eq!(found, [WIDTH.pow(5); WIDTH], "{threads} threads, {sharing:?}");
                pool.run(|worker| worker.barrier());
            }
        }
    }
}

#[test]
fn a_worker_that_is_away_holds_up_no_claimed_phase() {
    let pool = Pool::new(2).unwrap();
    pool.set_sharing(Sharing::Claimed);
    let done = AtomicUsize::new(0);
    pool.run_phases(|worker| {
        if worker.index == 1 {
            // Comes to its first phase only when the other has done all of them.
            while done.load(Ordering::Acquire) < 30 {
                std::thread::yield_now();
            }
        }
        for _ in 0..10 {
            worker.phase(3, |_, _| {
                done.fetch_add(1, Ordering::AcqRel);
            });
        }
    });
    assert_eq!(done.into_inner(), 30);
}

#[test]
fn a_panic_in_a_claimed_piece_reaches_the_caller_and_the_pool_lives_on() {
    for guilty in 0..4 {
        let pool = Pool::new(3).unwrap();
        pool.set_sharing(Sharing::Claimed);
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| {
            pool.run_phases(|worker| {
                for phase in 0..3 {
                    worker.phase(4, |piece, _| assert!(phase != 1 || piece != guilty, "piece {piece}"));
                }
            });
        }));
        let payload = outcome.unwrap_err();
        assert_eq!(payload.downcast_ref::<String>().unwrap(), &format!("piece {guilty}"));
        assert_eq!(rows_of_sums(&pool, 5, 3), [5_usize.pow(5); 5]);
    }
}

#[test]
#[should_panic(expected = "claimed")]
fn a_barrier_in_a_claimed_run_is_refused() {
    let pool = Pool::new(2).unwrap();
    pool.set_sharing(Sharing::Claimed);
    pool.run_phases(|worker| worker.barrier());
}
