"""The programs at the top of a replay kit, copied as they are; what they do stands in the folder ``blueprint_kit`` beside them."""
