// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package stacks

// samples keeps the newest samples of user stacks in memory that is used in a circle.
type samples struct {
	memory []byte
	end    uint64 // where the next one begins, counted from the start of the run
	byID   map[uint32]sample
	order  []uint32 // the ids, from the oldest on
	gone   int      // how many of them no longer have a sample
}

// sample is a place in the memory.
type sample struct {
	at uint64
	n  int
	fp uint32 // the id of the same stack by frame pointers; 0: none
}

func newSamples(size int) *samples {
	return &samples{memory: make([]byte, size), byID: make(map[uint32]sample)}
}

// put adds a sample in place of the oldest ones.
func (s *samples) put(id, fp uint32, bytes []byte) {
	size := uint64(len(s.memory))
	n := uint64(len(bytes))
	if n > size {
		return
	}
	if at := s.end % size; at+n > size {
		s.end += size - at
	}
	for s.gone < len(s.order) && s.byID[s.order[s.gone]].at+size < s.end+n {
		delete(s.byID, s.order[s.gone])
		s.gone++
	}
	if s.gone > len(s.order)/2 {
		s.order = s.order[:copy(s.order, s.order[s.gone:])]
		s.gone = 0
	}
	copy(s.memory[s.end%size:], bytes)
	s.byID[id] = sample{s.end, int(n), fp}
	s.order = append(s.order, id)
	s.end += n
}

// get returns a sample. The bytes are valid until the next call of put.
func (s *samples) get(id uint32) (bytes []byte, fp uint32, ok bool) {
	found, ok := s.byID[id]
	if !ok {
		return nil, 0, false
	}
	at := found.at % uint64(len(s.memory))
	return s.memory[at:][:found.n], found.fp, true
}
