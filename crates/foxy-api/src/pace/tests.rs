//! The pace, on a clock that stands still but for what is waited for.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn pace(per_second: f64, burst: u32) -> Pace {
    Pace::new(Some(Rate { per_second, burst }))
}

fn far() -> Instant {
    Instant::now() + SECOND * 3600
}

/// When so many turns come that are asked for one after the other, in milliseconds from now.
async fn turns(pace: &Pace, count: usize) -> Vec<u128> {
    let begun = Instant::now();
    let mut came = Vec::new();
    for _ in 0..count {
        drop(pace.turn(Line::New, far()).await.unwrap());
        came.push(begun.elapsed().as_millis());
    }
    came
}

#[tokio::test(start_paused = true)]
async fn a_burst_goes_at_once_and_what_follows_goes_at_the_rate() {
    let pace = pace(2.0, 3);
    assert_eq!(turns(&pace, 5).await, [0, 0, 0, 500, 1000]);
    // After a rest the burst is whole again, and no larger.
    tokio::time::sleep(SECOND * 60).await;
    assert_eq!(turns(&pace, 4).await, [0, 0, 0, 500]);
}

#[tokio::test(start_paused = true)]
async fn without_a_rate_nothing_waits() {
    assert_eq!(turns(&Pace::new(None), 1000).await, vec![0; 1000]);
}

#[tokio::test(start_paused = true)]
async fn what_a_call_needs_on_the_way_is_sent_at_once_and_paid_for_by_later_calls() {
    let pace = pace(2.0, 1);
    let turn = pace.turn(Line::New, far()).await.unwrap();
    for _ in 0..2 {
        assert!(pace.pass(None).is_ok());
    }
    assert!(pace.pass(Some(turn)).is_ok(), "the call's own turn is paid for");
    assert_eq!(turns(&pace, 2).await, [1500, 2000]);
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_would_come_too_late_is_refused_at_once_and_costs_nothing() {
    let pace = pace(1.0, 1);
    drop(pace.turn(Line::New, far()).await.unwrap());
    for _ in 0..3 {
        assert_eq!(pace.turn(Line::New, Instant::now() + SECOND / 2).await.unwrap_err(), TooLate(SECOND));
    }
    assert_eq!(turns(&pace, 1).await, [1000]);
    tokio::time::sleep(SECOND * 5).await;
    assert!(pace.turn(Line::New, Instant::now() - SECOND).await.is_ok(), "one that needs no wait is never too late");
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_holds_back_all_and_then_there_is_no_burst() {
    let pace = pace(2.0, 5);
    let first = pace.turn(Line::New, far()).await.unwrap();
    pace.slow_down(&first, Some(SECOND * 10));
    assert_eq!(pace.pass(None).unwrap_err(), TooLate(SECOND * 10));
    assert_eq!(pace.pass(Some(first)).unwrap_err(), TooLate(SECOND * 10), "not even a call that had its turn");
    assert_eq!(turns(&pace, 3).await, [11_000, 12_000, 13_000]);
}

#[tokio::test(start_paused = true)]
async fn without_a_rate_a_retry_after_holds_back_all_the_same() {
    let pace = Pace::new(None);
    let turn = pace.turn(Line::New, far()).await.unwrap();
    pace.slow_down(&turn, Some(SECOND * 10));
    assert_eq!(turns(&pace, 2).await, [10_000, 10_000]);
}

#[tokio::test(start_paused = true)]
async fn those_that_wait_when_foxy_speaks_up_line_up_anew() {
    let pace = pace(1.0, 1);
    let first = pace.turn(Line::New, far()).await.unwrap();
    let begun = Instant::now();
    let wait = async || {
        drop(pace.turn(Line::New, far()).await.unwrap());
        begun.elapsed().as_secs()
    };
    let impatient = async || pace.turn(Line::New, begun + SECOND * 5).await.unwrap_err();
    let speak = async {
        tokio::time::sleep(SECOND / 2).await;
        pace.slow_down(&first, Some(SECOND * 20));
    };
    let (a, b, TooLate(left), ()) = tokio::join!(wait(), wait(), impatient(), speak);
    assert_eq!([a, b], [22, 24], "held for 20 s, then at half the rate");
    assert!(left > SECOND * 15, "whoever can't wait so long learns it, and how long it would be: {left:?}");
}

#[tokio::test(start_paused = true)]
async fn the_rate_is_halved_down_to_a_floor_and_once_for_those_that_were_told_together() {
    let pace = pace(16.0, 1);
    let together: Vec<Turn> = (0..5).map(|_| pace.pass(None).unwrap()).collect();
    for turn in &together {
        pace.slow_down(turn, None);
    }
    assert_eq!(pace.lock().interval, SECOND / 8);
    for _ in 0..10 {
        let turn = pace.turn(Line::New, far()).await.unwrap();
        pace.slow_down(&turn, None);
    }
    assert_eq!(pace.lock().interval, SECOND);
}

#[tokio::test(start_paused = true)]
async fn the_rate_rises_step_by_step_as_calls_are_answered() {
    let pace = pace(10.0, 1);
    pace.slow_down(&pace.turn(Line::New, far()).await.unwrap(), None);
    let mut rates = Vec::new();
    for _ in 0..6 {
        rates.push(pace.lock().interval.as_secs_f64().recip().round());
        for _ in 0..ANSWERS_A_STEP {
            pace.answered();
        }
    }
    assert_eq!(rates, [5.0, 6.0, 7.0, 8.0, 9.0, 10.0]);
    assert!(!pace.lock().is_slow && pace.lock().interval == pace.full_speed);
}

#[tokio::test(start_paused = true)]
async fn once_it_is_closed_nobody_waits() {
    let pace = pace(1.0, 1);
    drop(pace.turn(Line::New, far()).await.unwrap());
    let begun = Instant::now();
    let close = async { pace.stop_waiting() };
    let (waiting, ()) = tokio::join!(pace.turn(Line::New, far()), close);
    assert_eq!((waiting.unwrap_err(), begun.elapsed()), (TooLate(SECOND), Duration::ZERO));
    assert!(pace.turn(Line::New, far()).await.is_err());
    tokio::time::sleep(SECOND * 5).await;
    assert!(pace.turn(Line::New, far()).await.is_ok(), "what needs no wait goes on");
}

#[tokio::test(start_paused = true)]
async fn a_step_up_makes_nobody_wait_longer() {
    for burst in [1, 10, 10_000] {
        let pace = pace(5.0, burst);
        for _ in 0..4 {
            pace.slow_down(&pace.pass(None).unwrap(), None);
        }
        while pace.lock().is_slow {
            let slow = pace.lock().interval;
            for _ in 0..ANSWERS_A_STEP {
                pace.answered();
            }
            let begun = Instant::now();
            drop(pace.turn(Line::New, far()).await.unwrap());
            assert!(begun.elapsed() <= slow + Duration::from_millis(2), "{burst} {slow:?}: {:?}", begun.elapsed());
        }
    }
}

/// The lines of calls that all wait, in the order in which they had their turns.
async fn served(pace: &Pace, waiting: &[Line]) -> Vec<Line> {
    let order = Mutex::new(Vec::new());
    let all = waiting.iter().map(|line| async {
        drop(pace.turn(*line, far()).await.unwrap());
        order.lock().unwrap().push(*line);
    });
    futures::future::join_all(all).await;
    order.into_inner().unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_was_begun_goes_first_and_every_fifth_turn_is_for_what_was_not() {
    let pace = pace(1.0, 1);
    drop(pace.turn(Line::New, far()).await.unwrap());
    let waiting: Vec<_> = [Line::New; 4].into_iter().chain([Line::Begun; 10]).collect();
    let order = served(&pace, &waiting).await;
    let turns_of_new: Vec<_> = (0..order.len()).filter(|turn| order[*turn] == Line::New).collect();
    assert_eq!(turns_of_new, [4, 9, 12, 13], "the rest of a line that is left alone goes at the full rate");
}

#[tokio::test(start_paused = true)]
async fn a_lookup_waits_for_no_queue_of_creates() {
    let pace = pace(1.0, 1);
    drop(pace.turn(Line::New, far()).await.unwrap());
    let begun = Instant::now();
    let create = async || drop(pace.turn(Line::New, far()).await.unwrap());
    let creates = futures::future::join_all((0..100).map(|_| create()));
    let lookup = async {
        tokio::time::sleep(SECOND * 3 / 2).await;
        drop(pace.turn(Line::Begun, far()).await.unwrap());
        begun.elapsed().as_secs()
    };
    assert_eq!(tokio::join!(creates, lookup).1, 2, "the first turn after it came");
    assert_eq!(begun.elapsed().as_secs(), 101, "and no turn is lost");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_gives_up_its_place_holds_up_nobody() {
    let pace = pace(1.0, 1);
    drop(pace.turn(Line::New, far()).await.unwrap());
    let begun = Instant::now();
    let impatient = tokio::time::timeout(SECOND / 2, pace.turn(Line::Begun, far()));
    let (given_up, turn) = tokio::join!(impatient, pace.turn(Line::Begun, far()));
    assert!(given_up.is_err() && turn.is_ok());
    assert_eq!(begun.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_new_call_is_refused_once_those_that_go_first_leave_it_too_late() {
    let pace = pace(1.0, 1);
    drop(pace.turn(Line::New, far()).await.unwrap());
    let latest = Instant::now() + SECOND * 2;
    let begun = futures::future::join_all((0..4).map(|_| pace.turn(Line::Begun, far())));
    let (new, begun) = tokio::join!(pace.turn(Line::New, latest), begun);
    assert!(new.is_err() && begun.iter().all(Result::is_ok));
    assert!(Instant::now() >= latest, "the others had all the turns");
}
