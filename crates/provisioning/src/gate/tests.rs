//! The gate on a clock that stands still.

use super::*;

const DOWN: Option<&str> = Some("the connection was refused");
const CAPTCHA: SetupFault = SetupFault::CaptchaDemanded;

/// A gate that one outage closes.
fn new() -> Gate {
    Gate::new(GateSettings { failures: 1, ..GateSettings::default() })
}

fn down() -> Gate {
    let gate = new();
    gate.saw(None, Sign::Outage, None, DOWN);
    assert!(!gate.is_open());
    gate
}

/// Foxy has answered a look.
fn trying() -> Gate {
    let gate = down();
    gate.looked(Ok(()));
    assert_eq!((gate.standing(), gate.is_open()), ("trying", true));
    gate
}

#[tokio::test]
async fn an_outage_and_a_fault_of_the_set_up_close_it_each_by_itself() {
    let gate = down();
    gate.saw(None, Sign::Answered, Some(&CAPTCHA), None);
    assert_eq!(gate.standing(), "paused");
    // A look that is answered ends the pause, and leaves of the outage that a call must be tried.
    gate.looked(Ok(()));
    assert_eq!((gate.standing(), gate.is_open()), ("trying", true));

    let gate = new();
    gate.saw(None, Sign::Answered, Some(&CAPTCHA), None);
    gate.saw(None, Sign::Outage, None, DOWN);
    assert_eq!(gate.pass().await.unwrap_err(), Closed::Paused);
    // A look that finds the set-up at fault proves that Foxy is there.
    gate.looked(Err(CAPTCHA.into()));
    gate.looked(Ok(()));
    assert_eq!(gate.standing(), "open");
}

#[tokio::test(start_paused = true)]
async fn while_one_call_is_tried_the_others_wait_for_what_comes_of_it() {
    for (sign, then) in [(Sign::Answered, Ok(())), (Sign::Outage, Err(Closed::Down))] {
        let gate = trying();
        let tried = gate.pass().await.unwrap();
        let other = tokio::spawn({
            let gate = gate.clone();
            async move { gate.pass().await.map(drop) }
        });
        // Time advances only once nothing else can.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!other.is_finished() && gate.may_look().is_ok(), "a lookup does not wait");
        gate.saw(Some(tried), sign, None, DOWN);
        let ended = tokio::time::timeout(Duration::from_secs(60), other).await;
        assert_eq!(ended.expect("it ends").unwrap(), then);
    }
}

#[tokio::test]
async fn a_tried_call_that_says_nothing_of_foxy_leaves_it_to_the_next() {
    let gate = trying();
    drop(gate.pass().await.unwrap());
    let tried = gate.pass().await.unwrap();
    gate.saw(Some(tried), Sign::None, None, None);
    assert_eq!(gate.standing(), "trying");
    let tried = gate.pass().await.unwrap();
    gate.saw(Some(tried), Sign::Answered, None, None);
    assert_eq!(gate.standing(), "open");
}

#[tokio::test(start_paused = true)]
async fn where_no_call_comes_to_be_tried_the_outage_counts_as_over() {
    let gate = trying();
    tokio::time::advance(Duration::from_secs(899)).await;
    gate.time_is_over();
    assert_eq!(gate.standing(), "trying");
    tokio::time::advance(Duration::from_secs(1)).await;
    gate.time_is_over();
    assert_eq!(gate.standing(), "open");
}

#[tokio::test(start_paused = true)]
async fn a_call_to_be_tried_is_waited_for_from_when_the_rate_allows_it() {
    let gate = trying();
    gate.hold(Duration::from_secs(100));
    for (passes, standing, is_open) in
        [(99, "trying", false), (1, "trying", true), (899, "trying", true), (1, "open", true)]
    {
        tokio::time::advance(Duration::from_secs(passes)).await;
        gate.time_is_over();
        assert_eq!((gate.standing(), gate.is_open()), (standing, is_open), "{passes}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_rate_holds_back_holds_back_new_work_and_no_call_under_way() {
    let gate = new();
    gate.hold(Duration::from_secs(10));
    gate.hold(Duration::from_secs(2));
    assert_eq!((gate.standing(), gate.is_open()), ("held", false));
    assert!(gate.pass().await.is_ok());
    tokio::time::advance(Duration::from_secs(9)).await;
    gate.time_is_over();
    assert!(!gate.is_open());
    tokio::time::advance(Duration::from_secs(1)).await;
    gate.time_is_over();
    assert!(gate.is_open());
}

#[tokio::test]
async fn creates_without_an_answer_add_up_though_their_lookups_are_answered() {
    let gate = Gate::new(GateSettings { failures: 3, ..GateSettings::default() });
    for failures in 1..=3 {
        let pass = gate.pass().await.unwrap();
        gate.saw(Some(pass), Sign::Outage, None, DOWN);
        gate.saw(None, Sign::Answered, None, None);
        assert_eq!(gate.is_open(), failures < 3);
    }
}

#[tokio::test]
async fn a_create_that_waited_for_its_turn_is_let_go_no_more_once_the_gate_has_closed() {
    let gate = new();
    let (first, second) = (gate.pass().await.unwrap(), gate.pass().await.unwrap());
    assert_eq!(gate.still_lets(&second), Ok(()));
    gate.saw(Some(first), Sign::Outage, None, DOWN);
    assert_eq!(gate.still_lets(&second), Err(Closed::Down));
    // While one is tried, it alone goes.
    gate.looked(Ok(()));
    let tried = gate.pass().await.unwrap();
    assert_eq!((gate.still_lets(&tried), gate.still_lets(&second)), (Ok(()), Err(Closed::Down)));
    gate.saw(Some(tried), Sign::Answered, Some(&CAPTCHA), None);
    assert_eq!(gate.still_lets(&second), Err(Closed::Paused));
}

#[tokio::test(start_paused = true)]
async fn a_line_of_new_signups_that_is_too_long_holds_back_nothing_that_was_begun() {
    let gate = new();
    gate.hold_new(Duration::from_secs(10));
    assert_eq!((gate.standing(), gate.is_open(), gate.may_begin()), ("held", true, false));
    tokio::time::advance(Duration::from_secs(10)).await;
    gate.time_is_over();
    assert_eq!((gate.standing(), gate.may_begin()), ("open", true));
}
