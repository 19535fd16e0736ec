// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import "github.com/gizmo-ebpf/gizmo/event"

func yamlFormat() Format {
	return Format{
		Name:      "yaml",
		Doc:       "YAML: one document per event, or one document per array for data sources of arrays.",
		AllFields: true,
		Bind:      bindYAML,
	}
}

var yamlWords = nonFinite{".nan", ".inf", "-.inf", true}

// yamlEncoder writes yaml in block style.
type yamlEncoder struct {
	frame
	array
	steps []step
	tail  string
	spill spill
}

func bindYAML(s *event.Schema, o Options) (Encoder, error) {
	p := plan{schema: s, words: &yamlWords}
	root := newTree(s, treeFields(s, o.Fields))
	e := &yamlEncoder{spill: o.Spill}
	switch {
	case s.Single:
		yamlObject(&p, root, "---\n", "")
	default:
		e.frame = frame{open: "---\n", none: "---\n[]\n"}
		yamlObject(&p, root, "- ", "  ")
	}
	e.steps, e.tail = p.steps, p.pending
	return e, p.err
}

// yamlObject lays out the members of n: first precedes the first line, indent the others.
func yamlObject(p *plan, n *node, first, indent string) {
	if len(n.kids) == 0 {
		p.text(first, "{}\n")
		return
	}
	lead := first
	for _, kid := range n.kids {
		p.text(lead, string(quoteYAML([]byte(kid.name), 0)), ":")
		lead = indent
		if kid.field == object {
			p.text("\n")
			yamlObject(p, kid, indent+"  ", indent+"  ")
			continue
		}
		v := p.bind(kid.field)
		if v.op != opArray {
			p.text(" ")
		}
		item := "\n" + indent + "  - "
		p.add(v, brackets{open: item, between: item})
		p.text("\n")
	}
}

// Head implements Encoder.
func (e *yamlEncoder) Head(dst []byte) []byte { return dst }

// Append implements Encoder.
func (e *yamlEncoder) Append(dst []byte, b *event.Batch) []byte {
	if len(b.Rows) > 0 {
		dst = e.before(dst, &e.frame)
	}
	for i := range b.Rows {
		for k := range e.steps {
			dst = e.spill.long(e.steps[k].appendYAML(dst, b, i, e.spill))
		}
		dst = e.spill.long(append(dst, e.tail...))
	}
	return e.after(dst, &e.frame, b)
}

func (s *step) appendYAML(dst []byte, b *event.Batch, row int, sp spill) []byte {
	dst = append(dst, s.prefix...)
	if sp != nil && s.isLong(b, row) {
		return s.appendLongYAML(dst, b, row, sp)
	}
	start := len(dst)
	switch s.op {
	case opText, opString, opTrailingText, opColumnText:
		return quoteYAML(s.appendText(dst, b, row), start)
	case opTextNumber, opTextBool, opColumnNumber:
		return s.appendToken(dst, b, row)
	case opBytes, opColumnBytes:
		return quoteYAML(s.appendHex(dst, b, row), start)
	case opArray:
		return s.appendArray(dst, b.Rows[row], &s.brackets)
	}
	return s.appendScalar(dst, b.Rows[row], s.op, &s.number)
}
