#ifndef STORE_H
#define STORE_H

/* A wallet on a file of its own, and a way to run one command to its end. */

#include "base/clock.h"
#include "base/limits.h"
#include "unit.h"
#include "wallet/account.h"
#include "wallet/usage.h"
#include "wallet/verify.h"
#include "wallet/wallet.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char store_path[128];

__attribute__((unused)) static const char *store_new(void)
{
	char folder[96];

	unit_folder(folder, sizeof(folder));
	(void)snprintf(store_path, sizeof(store_path), "%s/wallet.db", folder);
	return store_path;
}

/*
 * Waits until midnight UTC when the day ends before a test could be through, the month perhaps with
 * it: for a test of what a day or a month allows, which begins anew with the next.
 */
__attribute__((unused)) static void store_within_a_day(void)
{
	const int64_t room_ms = 30 * 1000;
	struct walltime end = walltime_of_day(walltime_day(clock_wall()) + 1);

	if (end.ms - clock_wall().ms > room_ms)
		return;
	while (clock_wall().ms < end.ms)
		(void)usleep(10 * 1000);
}

__attribute__((unused)) static struct wallet *store_wallet(const char *path, int64_t starter_tokens)
{
	struct wallet_config config = {.store = path, .default_org = "default"};

	ck_assert(microusd_from_tokens(&config.starter, starter_tokens));
	return wallet_create(&config);
}

__attribute__((unused)) static void store_turns(struct wallet *w)
{
	int64_t retry_ms;

	for (int i = 0; i < 10000 && !wallet_is_idle(w); i++)
		(void)wallet_turn(w, &retry_ms);
}

/* What stays of a command when it is gone. */
struct ran {
	enum wallet_outcome outcome;
	struct wallet_view after;
	struct id lease;
	struct digest receipt;
	int64_t idempotency_day;
	struct microusd stored_charge;
	char stored[64];
	bool has_stored;
	bool is_done;
};

__attribute__((unused)) static void store_note(struct wallet_cmd *cmd)
{
	struct ran *ran = cmd->arg;

	*ran = (struct ran){
		.outcome = cmd->outcome,
		.after = cmd->after,
		.lease = cmd->lease,
		.receipt = cmd->receipt,
		.idempotency_day = cmd->idempotency_day,
		.stored_charge = cmd->stored_charge,
		.has_stored = cmd->stored != NULL,
		.is_done = true,
	};
	if (cmd->stored)
		(void)snprintf(ran->stored, sizeof(ran->stored), "%s", cmd->stored);
}

__attribute__((unused)) static void store_submit(struct wallet *w, struct wallet_cmd *cmd,
						 struct ran *ran)
{
	*ran = (struct ran){.is_done = false};
	cmd->done = store_note;
	cmd->arg = ran;
	wallet_submit(w, cmd);
}

__attribute__((unused)) static struct ran store_run(struct wallet *w, struct wallet_cmd *cmd)
{
	struct ran ran;

	store_submit(w, cmd, &ran);
	store_turns(w);
	ck_assert(ran.is_done);
	return ran;
}

__attribute__((unused)) static struct id store_default_org(struct wallet *w)
{
	struct org_view org = {0};
	bool is_there = false;

	ck_assert(wallet_open_now(w, 1000, NULL));
	ck_assert(org_find_default(wallet_db(w), &is_there, &org) == DB_OK);
	ck_assert(is_there);
	org_view_finish(&org);
	return org.id;
}

__attribute__((unused)) static int64_t store_tokens(struct wallet *w, struct id org)
{
	struct wallet_view view = {0};
	bool is_there = false;

	ck_assert(wallet_view_read(wallet_db(w), org, &is_there, &view) == DB_OK);
	ck_assert(is_there);
	return view.available.v / MICROUSD_PER_TOKEN;
}

__attribute__((unused)) static struct wallet_cmd *store_hold(struct wallet *w, struct id org,
							     int64_t tokens)
{
	struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_HOLD, (struct caller){.org = org});

	cmd->id = wallet_new_id(w);
	cmd->tool = "echo";
	ck_assert(microusd_from_tokens(&cmd->amount, tokens));
	return cmd;
}

/* The end of a hold: a capture of tokens, or a release when op says so. */
__attribute__((unused)) static struct wallet_cmd *store_end(enum wallet_op op, struct id org,
							    struct id call, struct id lease,
							    int64_t held, int64_t tokens)
{
	struct wallet_cmd *cmd = wallet_cmd_create(op, (struct caller){.org = org});

	cmd->id = call;
	cmd->lease = lease;
	cmd->tool = "echo";
	ck_assert(microusd_from_tokens(&cmd->held, held));
	ck_assert(microusd_from_tokens(&cmd->amount, tokens));
	return cmd;
}

__attribute__((unused)) static struct wallet_cmd *store_grant(struct wallet *w, struct id org,
							      int64_t tokens, const char *fact)
{
	struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_GRANT, (struct caller){.org = org});

	cmd->id = wallet_new_id(w);
	cmd->kind = ENTRY_PURCHASE;
	cmd->fact = fact ? xstrdup(fact) : NULL;
	ck_assert(microusd_from_tokens(&cmd->amount, tokens));
	return cmd;
}

__attribute__((unused)) static void store_proves_itself(struct wallet *w, int64_t open_holds)
{
	struct verify_report report;

	ck_assert(ledger_verify(wallet_db(w), &report) == DB_OK);
	ck_assert_msg(report.faults == 0, "%s", buf_text(&report.faults_text));
	if (open_holds >= 0)
		ck_assert_int_eq(report.open_holds, open_holds);
	verify_report_finish(&report);
}

#endif
