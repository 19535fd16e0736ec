// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package int80 makes system calls as 32-bit programs on amd64 do, for tests of what gadgets see of
// them. On other architectures it is empty.
package int80
