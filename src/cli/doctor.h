#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

/*
 * What the files of doctor share: the findings so far and what was read on the way. doctor.c begins
 * with the configuration, doctor_store.c looks at the store, doctor_payments.c at Stripe.
 */

#include "app/app.h"
#include "app/config.h"
#include "payments/stripe_doctor.h"

#define SECRET_MODE_BAD 077 /* what nobody else may do with a wallet or a secret */

struct finding_row {
	enum finding_level level;
	const char *check; /* static */
	char *text;
	char *remedy; /* NULL: none */
};

struct doctor {
	struct finding_row *rows;
	size_t count;
	size_t warned, failed;
	struct app_config config;
	struct payments_config payments;
	char *key;
	char *store;
	bool has_email; /* of the default org */
	struct loop *loop;
	struct db *db;  /* while Stripe is asked; NULL: there is none */
	size_t unknown; /* payments there that the store does not know */
	struct microusd unknown_amount;
};

/* One finding. check is static; remedy (NULL: none) is copied. */
void doctor_add(struct doctor *d, enum finding_level level, const char *check, const char *remedy,
		const char *fmt, ...) PRINTF_LIKE(5, 6);
/* Warns when others may read the file that the variable names. */
void doctor_check_secret_file(struct doctor *d, const char *check, const char *variable);

/* doctor_store.c: chooses d->store and reads what is there. */
void doctor_check_store(struct doctor *d);
/* doctor_payments.c. */
void doctor_check_payments(struct doctor *d);

#endif
