// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "../base.h"

MARKER(gadget_tracer_t___events___event);
MARKER(gadget_sk_prog_target_program___events);
