// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import "strconv"

// appendName appends the name of n in table, or the prefix unnamed and n itself.
func appendName(dst []byte, table []string, n uint64, unnamed string) []byte {
	if n < uint64(len(table)) && table[n] != "" {
		return append(dst, table[n]...)
	}
	dst = append(dst, unnamed...)
	return strconv.AppendUint(dst, n, 10)
}
