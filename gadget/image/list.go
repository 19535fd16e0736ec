// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/gizmo-ebpf/gizmo/event"
)

// isList reports whether the param is an array of whole numbers. Users write them with commas between them. The array
// may have room for more; its unused places are 0.
func (p *Param) isList() bool {
	f := &p.field
	return f.Count > 0 && (f.Kind == event.Uint || f.Kind == event.Int) && f.Enum == nil && f.ElemSize() <= 8
}

// elem is a param for one of the numbers of a list.
func (p *Param) elem() Param {
	return Param{Key: p.Key, field: event.Field{Kind: p.field.Kind, Size: p.field.ElemSize()}}
}

func (p *Param) parseList(buf []byte, text string) error {
	elem, count := p.elem(), int(p.field.Count)
	texts := strings.Split(text, ",")
	if len(texts) > count {
		return fmt.Errorf("%q has %d numbers; at most %d fit", text, len(texts), count)
	}
	size := int(elem.field.Size)
	for i, text := range texts {
		number := buf[i*size : (i+1)*size]
		if err := elem.parseInto(number, text); err != nil {
			return err
		}
		if isZero(number) {
			return errors.New("a list cannot contain 0, which marks its unused places")
		}
	}
	return nil
}

func (p *Param) formatList(v Value) string {
	elem := p.elem()
	size := int(elem.field.Size)
	var texts []string
	for number := v[:p.field.Size]; len(number) >= size; number = number[size:] {
		if !isZero(number[:size]) {
			texts = append(texts, elem.format(number[:size]))
		}
	}
	return strings.Join(texts, ",")
}

func isZero(number []byte) bool { return len(bytes.Trim(number, "\x00")) == 0 }
