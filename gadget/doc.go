// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package gadget runs compiled gadgets.
//
// [image.Parse] analyses an object. [Load] puts the maps and programs of the image into the kernel, which
// takes privileges; [Gadget.Attach] lets the programs produce events, which [Gadget.Sources] hand to a
// pipeline. [Gadget.AttachTo] and [Gadget.DetachFrom] attach a program to targets that come and go while
// the gadget runs.
//
// The package changes nothing of the process beyond the limit of locked memory, and logs to the logger
// of its options only.
package gadget
