// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package symbols

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// occurrences returns where in a table of strings the name begins and ends with its zero byte, in
// order. It holds only a piece of the table at a time.
func occurrences(r io.Reader, name string) ([]uint32, error) {
	want := append([]byte(name), 0)
	buf := make([]byte, piece+len(want))
	var places []uint32
	kept := 0 // bytes at the start of buf, too few to hold the name
	for start := 0; ; {
		n, err := io.ReadFull(r, buf[kept:])
		text := buf[:kept+n]
		for at := 0; ; at++ {
			next := bytes.Index(text[at:], want)
			if next < 0 {
				break
			}
			at += next
			if len(places) == maxPlaces {
				return nil, fmt.Errorf("more than %d names end in %s", maxPlaces, name)
			}
			places = append(places, uint32(start+at))
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return places, nil
		case err != nil:
			return nil, err
		}
		kept = len(want) - 1
		start += len(text) - kept
		copy(buf, text[len(text)-kept:])
	}
}
