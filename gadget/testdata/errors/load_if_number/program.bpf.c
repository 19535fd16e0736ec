// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "../base.h"

GADGET_TRACER(t, events, event);

const volatile int times = 1;
MARKER(gadget_load_if_program___times);
