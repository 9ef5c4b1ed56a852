//! Operations of buying credits.

use serde_json::json;

use super::document::{
    Operation,
    Who::{self, Anyone, Manager, Operator, Signed},
    operation,
};

const PAGE: &str = "{offset?: int(0..1000000), limit?: int(0..100)}";

fn of_account(who: Who, tag: &'static str, paths: [&'static str; 7]) -> Vec<Operation> {
    let of = |method, path, summary| operation(method, path, who, tag, summary);
    let [
        checkout,
        purchases,
        purchase,
        receipt,
        refund,
        redeem,
        settings,
    ] = paths;
    vec![
        of("POST", checkout, "Begin a purchase")
            .headers(
                "{
                // A repeat with the same key begins no second purchase.
                Idempotency-Key?: string(1..255)
            }",
            )
            .takes("NewPurchase")
            .example(json!({"amount": 25}))
            .answers(200, "{data: Purchase}")
            .answers(201, "{data: Purchase}")
            .fails(&[409, 501, 502]),
        of("GET", purchases, "List purchases, the newest first")
            .query(PAGE)
            .answers(200, "{data: Purchase[], total_count: int(0..) | null}"),
        of("GET", purchase, "Show a purchase").answers(200, "{data: Purchase}"),
        of("GET", receipt, "Show where the receipt is")
            .answers(200, "{data: {id: string, url: string}}")
            .fails(&[409, 501, 502]),
        of("POST", refund, "Give back what is unused")
            .takes("NewRefund")
            .answers(201, "{data: Refund}")
            .fails(&[409, 501, 502]),
        of("POST", redeem, "Redeem a coupon")
            .takes("{code: string}!")
            .answers(200, "{data: Redeemed}")
            .answers(201, "{data: Redeemed}")
            .fails(&[404, 409, 429]),
        of("GET", settings, "Show what happens when credits run low")
            .answers(200, "{data: Funding}"),
        of("PUT", settings, "Say what happens when credits run low")
            .says("All settings anew: what is absent is off.")
            .takes("NewFunding")
            .answers(200, "{data: Funding}")
            .fails(&[409, 501, 502]),
    ]
}

pub fn operations() -> Vec<Operation> {
    let of = |method, path, summary| operation(method, path, Operator, "Operator", summary);
    let mut all = of_account(
        Manager,
        "Credits",
        [
            "/credits/checkout",
            "/credits/purchases",
            "/credits/purchases/{id}",
            "/credits/purchases/{id}/receipt",
            "/credits/purchases/{id}/refund",
            "/credits/redeem",
            "/credits/settings",
        ],
    );
    all.extend(of_account(
        Operator,
        "Operator",
        [
            "/admin/accounts/{account}/credits/checkout",
            "/admin/accounts/{account}/credits/purchases",
            "/admin/accounts/{account}/credits/purchases/{id}",
            "/admin/accounts/{account}/credits/purchases/{id}/receipt",
            "/admin/accounts/{account}/credits/purchases/{id}/refund",
            "/admin/accounts/{account}/credits/redeem",
            "/admin/accounts/{account}/credits/settings",
        ],
    ));
    all.extend([
        of("GET", "/admin/coupons", "List coupons").answers(200, "{data: Coupon[]}"),
        of("POST", "/admin/coupons", "Make a coupon")
            .says("The code is in this answer only.")
            .takes("NewCoupon")
            .example(json!({"amount": 5, "name": "Launch", "max_uses": 100}))
            .answers(201, "{data: Coupon, code: string}")
            .fails(&[409]),
        of("DELETE", "/admin/coupons/{id}", "End a coupon").answers(200, "Deleted"),
        operation(
            "POST",
            "/stripe/webhook",
            Signed,
            "Credits",
            "Take an event of Stripe's",
        )
        .says("Signed by Stripe with the secret of the endpoint; each event is applied once.")
        .headers("{Stripe-Signature?: string}")
        .takes("{[more]: any}")
        .answers(200, "{[more]: any}")
        .fails(&[401, 403, 404, 409, 501]),
        operation(
            "POST",
            "/credits/coinbase",
            Anyone,
            "Credits",
            "Buy credits with Coinbase, which is over",
        )
        .answers_as(410, "application/json", "Error"),
    ]);
    all
}
