#ifndef METER_STORED_H
#define METER_STORED_H

/*
 * What is kept of a call with an idempotency key: the provider's part of the result, written in
 * the batch of its capture. Cost and receipt are not in it: they come from the ledger's entry.
 *
 *	1 OUTCOME LENGTH RAW_COST MARKUP\n STRUCTURED CONTENT
 *
 * OUTCOME is ok or failed, LENGTH that of STRUCTURED, RAW_COST and MARKUP are decimals or "-".
 */

#include "meter/meter.h"

void stored_result_write(const struct meter_call *call, enum meter_outcome outcome, char **out_text,
			 size_t *out_len);
/* Fills result and the raw cost of the charge. False: another version of farebox wrote it. */
MUST_USE bool stored_result_read(struct meter_call *call, struct slice text);

#endif
