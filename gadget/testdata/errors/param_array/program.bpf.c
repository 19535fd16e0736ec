// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "../base.h"

MARKER(gadget_tracer_t___events___event);

const volatile __u32 ports[4][2] = {};
MARKER(gadget_param_ports);
