#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

/*
 * What a process inherits from whoever started it and cannot rely on: the first three descriptors,
 * which may be closed; signals, which may be blocked or ignored; room for descriptors.
 */

#include "base/err.h"

/*
 * Called first thing in the process. Signals that would end it for what is only a failed write
 * (SIGPIPE, SIGXFSZ) are ignored; children get the defaults again. False: there is too little to
 * work with, and err says what to do.
 */
MUST_USE bool process_prepare(struct err *err);

#endif
