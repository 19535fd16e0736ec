// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package records

// Next appends a record and returns it, for the caller to fill: it may hold anything.
func (s *Set) Next() []byte {
	room := s.room()
	s.used += s.size
	return room[:s.size:s.size]
}
