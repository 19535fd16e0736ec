// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package socket knows which process uses a socket, and makes gadgets find it: for a packet, or for a socket that the kernel
// handles while any process is running.
//
// [Owners] are programs in the kernel that note who binds, connects, accepts and sends; docs/sockets.md says how exact that is.
// All gadgets of a process share one, by a [Pool]. [Owners] implement gadget.SocketLinker.
package socket
