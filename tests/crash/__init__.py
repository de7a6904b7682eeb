"""Curfew's process dies, loses an answer or meets another one at every call of AWS that it makes, one after the other."""
