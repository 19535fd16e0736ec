// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package wild has gadgets as other authors write them: a folder of corpus for each way in which a source
// can differ from gizmo's own: a macro, an old spelling, a kind of map, a careless gadget.yaml.
// They were written for this corpus before any of them was built. Some were then changed where no loader could have taken them
// (a hook that kernels do not have, a program that the verifier never accepts), and one for the verifier of Linux 6.1.
//
// Each is built with every compiler that gadgets may be built with, and loaded. One that the kernel has
// the hooks for is run, too, beside a program whose events are known: corpus/NAME/want.json has what one
// event must say. What gizmo says against the files gadget.yaml is in testdata/warnings.golden.
package wild
