// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package gadget turns compiled gadgets into running ones.
//
// [Parse] analyses an object and its metadata into an [Image]: its data sources, their fields, its
// params and programs. It needs neither a kernel nor privileges. [Image.Load] asks the kernel: it
// loads maps and programs; [Gadget.Attach] lets them produce events, which [Gadget.Sources] hand to
// a pipeline.
package gadget
