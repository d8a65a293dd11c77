import torch

from mmvos.models.masktrack.propagation_head import attend_memory


def test_a_query_like_one_key_reads_its_value():
    keys = torch.tensor([[[0.0, 40, 80]]])  # (1, 1, 3)
    values = torch.tensor([[[1.0, 2, 3], [4, 5, 6]]])
    assert attend_memory(torch.tensor([[[79.0, 1]]]), keys, values).tolist() == [[[3, 1], [6, 4]]]


def test_halfway_between_two_keys_reads_their_mean():
    out = attend_memory(
        torch.zeros(1, 2, 1), torch.tensor([[[1.0, -1], [0, 0]]]), torch.tensor([[[2.0, 4]]])
    )
    assert out.item() == 3
