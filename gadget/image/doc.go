// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package image reads compiled gadgets.
//
// [Parse] analyses an object and its metadata into an [Image]: its data sources, their fields, its
// params and programs. It is pure: it needs neither a kernel nor privileges, opens no file, and has
// the same result on every machine. Package gadget loads an image into the kernel.
package image
