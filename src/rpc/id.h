#ifndef RPC_ID_H
#define RPC_ID_H

/*
 * Request ids as text. JSON has one number type, so 5, 5.0 and 50e-1 are the same integer id: it is
 * echoed as it was spelt and compared by its value, whatever its size.
 */

#include "base/buf.h"

#include <jansson.h>

/* Whether the text is a JSON number without a fraction. */
bool id_number_is_integer(struct slice text);
/* Appends the plain decimal of an integer: 50e-1 as 5. One that would pass RPC_ID_BYTES_MAX is
 * appended as it is. */
void id_number_plain(struct slice text, struct buf *out);

/* The raw token of an id that has been parsed; the caller frees it. NULL when the value can be no
 * id. */
char *id_of_value(const json_t *value);

#endif
