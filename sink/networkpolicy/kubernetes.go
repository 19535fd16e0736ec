// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package networkpolicy

import "net/netip"

// What Kubernetes calls a NetworkPolicy of networking.k8s.io/v1, as far as policies here use it.

type metadata struct {
	Name      string `yaml:"name"`
	Namespace string `yaml:"namespace"`
}

type selector struct {
	MatchLabels map[string]string `yaml:"matchLabels"`
}

type k8sPolicy struct {
	APIVersion string   `yaml:"apiVersion"`
	Kind       string   `yaml:"kind"`
	Metadata   metadata `yaml:"metadata"`
	Spec       k8sSpec  `yaml:"spec"`
}

type k8sSpec struct {
	PodSelector selector `yaml:"podSelector"`
	PolicyTypes []string `yaml:"policyTypes,flow"`
	// Without rules a policy of that type allows nothing.
	Ingress []k8sRule `yaml:"ingress"`
	Egress  []k8sRule `yaml:"egress"`
}

type k8sRule struct {
	From  []k8sPeer `yaml:"from,omitempty"`
	To    []k8sPeer `yaml:"to,omitempty"`
	Ports []k8sPort `yaml:"ports"`
}

type k8sPeer struct {
	NamespaceSelector *selector `yaml:"namespaceSelector,omitempty"`
	PodSelector       *selector `yaml:"podSelector,omitempty"`
	IPBlock           *ipBlock  `yaml:"ipBlock,omitempty"`
}

type ipBlock struct {
	CIDR string `yaml:"cidr"`
}

type k8sPort struct {
	Protocol string `yaml:"protocol"`
	Port     uint16 `yaml:"port"`
}

// namespaceLabel is the label that Kubernetes gives to each namespace: its name.
const namespaceLabel = "kubernetes.io/metadata.name"

func k8sPolicyOf(w *workload) any {
	p := k8sPolicy{
		APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy", Metadata: metadata{w.name, w.namespace},
		Spec: k8sSpec{
			PodSelector: selector{mapOf(w.labels)}, PolicyTypes: []string{"Ingress", "Egress"},
			Ingress: []k8sRule{}, Egress: []k8sRule{},
		},
	}
	for i := range w.ingress {
		r := &w.ingress[i]
		p.Spec.Ingress = append(p.Spec.Ingress, k8sRule{From: k8sPeersOf(w, r.peers), Ports: k8sPortsOf(r.ports)})
	}
	for i := range w.egress {
		r := &w.egress[i]
		p.Spec.Egress = append(p.Spec.Egress, k8sRule{To: k8sPeersOf(w, r.peers), Ports: k8sPortsOf(r.ports)})
	}
	return &p
}

func k8sPeersOf(w *workload, peers []peer) []k8sPeer {
	var list []k8sPeer
	for _, p := range peers {
		if p.pods == nil {
			list = append(list, k8sPeer{IPBlock: &ipBlock{cidrOf(p.addr)}})
			continue
		}
		one := k8sPeer{PodSelector: &selector{mapOf(p.pods.labels)}}
		if p.pods.namespace != w.namespace {
			one.NamespaceSelector = &selector{map[string]string{namespaceLabel: p.pods.namespace}}
		}
		list = append(list, one)
	}
	return list
}

func k8sPortsOf(ports []port) []k8sPort {
	var list []k8sPort
	for _, p := range ports {
		list = append(list, k8sPort{p.protocol.name(), p.number})
	}
	return list
}

func mapOf(labels []label) map[string]string {
	m := make(map[string]string)
	for _, l := range labels {
		m[l.key] = l.value
	}
	return m
}

// cidrOf returns an address as the network that it is alone in.
func cidrOf(addr netip.Addr) string { return netip.PrefixFrom(addr, addr.BitLen()).String() }
