//! The page on which a person chooses one of several stores.

use foxden_web::{Choice, ChoiceId, Ending};

use crate::site::{Browser, Site};

fn store(id: &str, name: &str) -> Choice {
    Choice { id: ChoiceId::parse(id).unwrap(), name: name.to_owned(), domain: Some(format!("{id}.foxycart.com")) }
}

async fn at_the_choice(site: &Site) -> Browser {
    site.fake.ends(Ending::Choose(vec![store("8", "Bakery"), store("9", "Winery <b>")]));
    let mut browser = site.browser();
    let state = browser.depart().await;
    let page = browser.come_back(&format!("code=c0de&state={state}")).await;
    assert_eq!((page.status, page.heading()), (200, "Choose your store"));
    for part in [
        r#"<form method="post" action="/trip/trip-0">"#,
        r#"<input type="radio" name="choice" value="8" required>"#,
        "<legend>Your stores</legend>",
        "9.foxycart.com",
        "Winery &lt;b&gt;",
    ] {
        assert!(page.body.contains(part), "{part}");
    }
    assert_eq!(page.body.matches("<label>").count(), 2);
    browser
}

#[tokio::test]
async fn a_person_chooses_one_of_several_stores_once() {
    let site = Site::new().await;
    let mut browser = at_the_choice(&site).await;
    let page = browser.post("/trip/trip-0", "choice=9").await;
    assert_eq!((page.status, page.header("location")), (303, Some("/trip/trip-0")));
    assert_eq!(browser.get("/trip/trip-0").await.heading(), "Thank you, that worked");
    // Back, and another choice.
    assert_eq!(browser.post("/trip/trip-0", "choice=8").await.status, 303);
    assert_eq!(site.fake.chosen(), ["9"]);
}

#[tokio::test]
async fn what_was_not_offered_is_not_chosen_and_the_page_asks_again() {
    let site = Site::new().await;
    let mut browser = at_the_choice(&site).await;
    assert_eq!(browser.post("/trip/trip-0", "choice=7").await.status, 303);
    assert_eq!(browser.get("/trip/trip-0").await.heading(), "Choose your store");
    for form in ["", "choice=", "choice=8&choice=9", "choice=%3Cscript%3E", "other=8", "\u{0}\u{fffd}"] {
        assert_eq!(browser.post("/trip/trip-0", form).await.status, 400, "{form}");
    }
    assert!(site.fake.chosen().is_empty());
}

#[tokio::test]
async fn no_other_site_and_no_other_browser_chooses() {
    let site = Site::new().await;
    let browser = at_the_choice(&site).await;
    let cross = browser.send("POST", "/trip/trip-0", "Sec-Fetch-Site: cross-site\r\n", "choice=9").await;
    assert_eq!(cross.status, 403);
    let mut other = site.browser();
    assert_eq!(other.post("/trip/trip-0", "choice=9").await.status, 403);
    other.depart().await;
    assert_eq!(other.post("/trip/trip-0", "choice=9").await.status, 403);
    assert_eq!(other.post("/trip/trip-99", "choice=9").await.status, 404);
    assert!(site.fake.chosen().is_empty());
}
