#ifndef BASE_VAULT_H
#define BASE_VAULT_H

/*
 * Where the secrets of the environment are kept. The block that the kernel shows as
 * /proc/PID/environ can be read by every process of the same user, the servers that we start among
 * them. So the program takes its secrets out of it at the start: they are copied to memory of
 * their own (in no core, not swapped where that is allowed, not given to a fork) and their bytes in
 * the block are zeroed. A later reading of the configuration finds them here.
 *
 * It stands for the environment, which is the process's and not of a struct that is passed; so it
 * is one for the process, and nothing ever leaves it.
 *
 * It also knows every secret that was read, also from a file: they are struck from what providers
 * answer, and from the log.
 */

#include "base/base.h"

/*
 * Closes the process to others of its user (no ptrace, no /proc/PID/environ or mem, no core) and
 * takes the variables that are secret by their name. Once, first of all, by the program; a test
 * that never calls it keeps its environment.
 */
void vault_open(void);
/* A variable that the configuration names as a secret. Nothing is done before vault_open, and for
 * variables such as HOME and PATH, which are no secrets and which programs look for. */
void vault_take(const char *name);

/* Borrowed for good; NULL: it was not taken. */
const char *vault_find(const char *name);
/* The names of what was taken. */
size_t vault_count(void);
const char *vault_name(size_t i);

/* From now on this text, which was read for the variable of that name, is struck; not where the
 * variable is no secret, such as HOME. False: there are VAULT_SECRETS_MAX. */
MUST_USE bool vault_know(const char *name, const char *secret);
/* strike_text and strike_json with all that are known. */
MUST_USE size_t vault_strike_text(char *text, size_t len);
MUST_USE size_t vault_strike_json(char *json, size_t len);
/* Of a text that ends with '\0'. */
void vault_strike(char *text);

#endif
