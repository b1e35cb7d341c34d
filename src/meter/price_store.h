#ifndef METER_PRICE_STORE_H
#define METER_PRICE_STORE_H

/*
 * Which price a version on an entry stands for: written once, in the batch of the first hold at
 * that price. A version is taken from the price's text (pricing/price.h), so any process may write
 * it, and writes the same.
 */

#include "pricing/price.h"
#include "wallet/wallet.h"

/* For a hold. price is borrowed for as long as the command lives. */
struct rider *price_rider(const struct price *price);

#endif
