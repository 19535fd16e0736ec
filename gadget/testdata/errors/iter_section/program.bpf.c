// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "../base.h"

MARKER(gadget_iter_i___event___program);
