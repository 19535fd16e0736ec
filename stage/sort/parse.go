// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package sort

import (
	"errors"
	"fmt"
	"strings"
)

// Key is one field to sort by.
type Key struct {
	// Field is the field's full name: "proc.pid".
	Field string
	// Descending puts the greatest first.
	Descending bool
}

// String returns the key in the form that Parse reads.
func (k Key) String() string {
	if k.Descending {
		return "-" + k.Field
	}
	return k.Field
}

// Parse parses the user's list: names of fields with commas between them, the most important
// first, and a "-" before a name if its greatest values come first.
func Parse(text string) ([]Key, error) {
	var keys []Key
	for part := range strings.SplitSeq(text, ",") {
		key, err := parseKey(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		for _, other := range keys {
			if other.Field == key.Field {
				return nil, fmt.Errorf("field %q is named twice", key.Field)
			}
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func parseKey(text string) (Key, error) {
	name, descending := strings.CutPrefix(text, "-")
	switch {
	case text == "":
		return Key{}, errors.New("empty name of a field; write names with commas between them")
	case name == "":
		return Key{}, errors.New(`"-" without the name of a field`)
	case name[0] == '+' || name[0] == '-':
		return Key{}, fmt.Errorf("%q: write the name alone for the smallest first, or one - before it for the greatest first", text)
	case strings.ContainsAny(name, " \t\r\n"):
		return Key{}, fmt.Errorf("%q: write commas between names", text)
	}
	return Key{Field: name, Descending: descending}, nil
}
